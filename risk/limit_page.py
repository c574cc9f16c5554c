"""The limits as people look at them: by what they are about, each with its use and its history."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from risk.controls import SPECS
from risk.controls.control import Unit
from risk.history import Past, history_of_limits
from risk.models import Limit, Scope
from risk.use import LimitUse, use_of_limits
from tradingdesk.backoffice import shown


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the page."""

    use: LimitUse
    past: list[Past]

    @property
    def limit(self) -> Limit:
        """The limit it is about."""
        return self.use.limit

    @property
    def meaning(self) -> str:
        """What the control measures."""
        return SPECS[self.limit.control].meaning

    @property
    def value(self) -> str:
        """The limit in words."""
        return in_words(self.limit.value, self.limit.control)

    @property
    def found(self) -> str:
        """What the limit is compared with, in words."""
        return in_words(self.use.found.value, self.limit.control) if self.use.found else ""


def limits_by_scope() -> Mapping[str, list[Row]]:
    """Every limit in force under the name of what it is about, the widest first."""
    order = {scope: number for number, scope in enumerate(Scope.values)}
    limits = sorted(Limit.objects.all(), key=lambda one: (order[one.scope], one.scope_key, one.control, not one.hard))
    past = history_of_limits()
    groups: dict[str, list[Row]] = defaultdict(list)
    for use in use_of_limits(limits):
        limit = use.limit
        row = Row(use, past.get((limit.control, limit.scope, limit.scope_key, limit.hard), []))
        groups[f"{limit.get_scope_display()} {limit.scope_key}".strip()].append(row)
    return dict(groups)


def in_words(value: Decimal, control: str) -> str:
    """A value with its unit."""
    unit = SPECS[control].unit
    if unit is Unit.FLAG:
        return "yes"
    if unit is Unit.SHARE:
        return shown.share(value)
    return f"{shown.number(value)} s" if unit is Unit.SECONDS else shown.number(value)
