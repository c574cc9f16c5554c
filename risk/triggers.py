"""What trips a halt by itself: the `halt_triggers:` section, and the halt that a passed threshold sets.

The section declares the whole set; a trigger that it does not name trips nothing. A halt that was tripped stays until a
person clears it, and what had happened before that does not trip it again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from django.db.models import Q
from pydantic import ValidationError

from risk.halts import halt
from risk.models import Halt, Level
from tradingdesk.config import schema
from tradingdesk.config.models import ConfigurationRecord
from tradingdesk.config.schema import Strict, expected
from tradingdesk.config.written import with_numbers

log = logging.getLogger(__name__)

LEVELS = [level.value for level in Level if level != Level.REJECT]
HOUR = 3600

TripLevel = Annotated[str, expected(f"one of {', '.join(LEVELS)}", lambda found: found in LEVELS)]


def _whole(least: int, most: int) -> Any:
    def fits(found: Any) -> bool:
        return isinstance(found, int) and not isinstance(found, bool) and least <= found <= most

    return Annotated[int, expected(f"a whole number from {least} to {most}", fits)]


class Count(Strict):
    """Trips when there are as many as `threshold`; `level` is how far it stops."""

    threshold: _whole(1, 10**9)
    level: TripLevel = Level.REDUCE_ONLY.value


class Rate(Count):
    """Trips when there are as many as `threshold` within the last `seconds`."""

    seconds: _whole(1, HOUR)


class Triggers(Strict):
    """The whole section.

    `order_rate` counts orders entered in the desk, for the firm; `error_rate` requests that an account's broker refused
    or did not answer; `reconciliation_breaks` those that opened at an account and are open.
    """

    order_rate: Rate | None = None
    error_rate: Rate | None = None
    reconciliation_breaks: Count | None = None


class Section(schema.Section):
    """`halt_triggers:` of the configuration; read from the record where it is measured."""

    schema = Triggers


def declared() -> Triggers:
    """The triggers in force; none where the record is of a desk that had others."""
    latest = ConfigurationRecord.objects.filter(version__gt=0).order_by("-version").values_list("whole", flat=True)
    section = (latest.first() or {}).get("halt_triggers") or {}
    try:
        return Triggers.model_validate(with_numbers(section))
    except ValidationError:
        log.error("halt_triggers of the configuration in force cannot be read: nothing trips by itself")
        return Triggers()


def trip(name: str, about: Count, *, found: str, limit: str, where: tuple[str, str]) -> Halt:
    """Halt a scope and key because a trigger's measure says so; the halt of its level that is in force if there is one.

    Controls that know their own limit set their halt themselves (`risk.halts.halt` with `trigger`).
    """
    scope, scope_key = where
    reason = f"{name}: found {found}, limit {limit}"
    made = halt(
        scope=scope, scope_key=scope_key, level=about.level, trigger=name, reason=reason, actor=f"system:trigger.{name}"
    )
    log.critical("%s tripped a halt (%s %s): %s", name, made.level, " ".join(filter(None, where)), reason)
    return made


def cleared_since(name: str) -> Mapping[tuple[str, str], datetime]:
    """When a person last cleared a halt of this trigger, by scope and key: what happened before has been seen."""
    rows = Halt.objects.filter(trigger=name, cleared_at__isnull=False).order_by("cleared_at")
    return {(row.scope, row.scope_key): row.cleared_at for row in rows}


def halted_for(name: str, level: str) -> set[tuple[str, str]]:
    """Where a halt of this trigger, or any other of its level, is in force: there it need not trip again."""
    halts = Halt.objects.filter(cleared_at=None).filter(Q(trigger=name) | Q(level=level))
    return set(halts.values_list("scope", "scope_key"))
