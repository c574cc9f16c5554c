"""The `risk:` section: the firm's limits, and narrower ones for accounts and symbols.

Its keys are the controls themselves (`risk.models.Control`), so a new control is known here at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, PlainValidator, ValidationError, create_model

from brokers.models import BrokerAccount
from risk.limits import (
    APPLIES_TO,
    COUNTS,
    MAY_ONLY_WARN,
    SECONDS,
    SHARES,
    LimitValue,
    check,
    limits_in_force,
    out_of_range,
    set_limits,
)
from risk.models import Control, Scope
from risk.scopes import SYMBOL
from tradingdesk.config import schema
from tradingdesk.config.document import Document, Loc
from tradingdesk.config.models import ConfigurationRecord
from tradingdesk.config.record import change
from tradingdesk.config.schema import Strict, expected, is_number, not_expected

Symbol = Annotated[
    str, expected('a symbol such as "IBM"', lambda found: isinstance(found, str) and bool(SYMBOL.fullmatch(found)))
]


def _what(control: Control) -> str:
    if control in SHARES:
        return "a number from 0 to 1"
    if control in COUNTS:
        return "a whole number of 0 or more"
    return "a number of seconds above 0" if control in SECONDS else "a number of 0 or more"


def _limit(control: Control) -> Any:
    """Annotate one control's value: a number, or a mapping of value and hard where a control may only warn."""
    may_warn = control in MAY_ONLY_WARN
    what = _what(control) + (", or a mapping of value and hard" if may_warn else "")

    def read(found: Any) -> tuple[Decimal, bool]:
        value, hard = found, not may_warn
        if may_warn and isinstance(found, dict) and "value" in found and not found.keys() - {"value", "hard"}:
            value, hard = found["value"], found.get("hard", False)
        if not is_number(value) or not isinstance(hard, bool) or out_of_range(control, Decimal(value)):
            raise not_expected(what)
        return Decimal(value), hard

    return Annotated[tuple[Decimal, bool] | None, PlainValidator(read, json_schema_input_type=Any)]


def _limits_of(scope: Scope, name: str) -> type[BaseModel]:
    """The model of what can be set for a scope."""
    controls = [control for control in Control if scope in APPLIES_TO[control] and control != Control.RESTRICTED]
    return create_model(name, __base__=Strict, **{control.value: (_limit(control), None) for control in controls})


FirmLimits = _limits_of(Scope.FIRM, "FirmLimits")
AccountLimits = _limits_of(Scope.ACCOUNT, "AccountLimits")
SymbolLimits = _limits_of(Scope.SYMBOL, "SymbolLimits")


class Risk(FirmLimits):
    """The whole section."""

    restricted_symbols: list[Symbol] = []
    accounts: dict[str, AccountLimits] = {}
    symbols: dict[Symbol, SymbolLimits] = {}

    def limits(self) -> Iterator[LimitValue]:
        """Every limit that the section sets."""
        yield from _values(self, Scope.FIRM, "")
        for name, limits in self.accounts.items():
            yield from _values(limits, Scope.ACCOUNT, name)
        for symbol, limits in self.symbols.items():
            yield from _values(limits, Scope.SYMBOL, symbol)
        for symbol in dict.fromkeys(self.restricted_symbols):
            yield LimitValue(Control.RESTRICTED, Decimal(1), Scope.SYMBOL, symbol)


class Section(schema.Section):
    """`risk:` of the configuration."""

    schema = Risk

    def problems(self, parsed: Risk, document: Document) -> Iterable[tuple[Loc, str]]:
        """An account with limits of its own is one of the file's, or one that there was."""
        brokers = document.data.get("brokers")
        in_file = brokers if isinstance(brokers, dict) else {}
        known = {*in_file, *BrokerAccount.objects.values_list("broker_name", flat=True)}
        for name in parsed.accounts:
            if name not in known:
                yield ("accounts", name), f"no account is called {name!r}; there are: {', '.join(sorted(known))}"

    def in_force(self, recorded: Any) -> Any:
        """The recorded section, with the limits that the gate applies where they are others."""
        known = {value.key: value for value in _recorded_limits(recorded)}
        section = dict(recorded or {})
        for value in _in_force():
            if known.pop(value.key, None) != value:
                section = _with(section, value)
        for gone in known.values():
            section = _with(section, _taken_away(gone))
        return section or None

    def apply(self, parsed: Risk, *, actor: str, reason: str) -> None:
        """Make the section the whole of the limits in force."""
        set_limits(parsed.limits(), actor=actor, reason=reason, replace_all=True)


def change_limits(values: Iterable[LimitValue], *, actor: str, reason: str) -> ConfigurationRecord | None:
    """Set, change or take away limits, all or none, as a new version of the configuration; None when nothing changes.

    Raises:
        InvalidInput: no reason, or a limit that the gate could not apply; nothing changed.
        Conflict: another version came in between; nothing changed.
    """
    values = list(values)
    for value in values:
        check(value)

    def edited(section: dict[str, Any]) -> dict[str, Any]:
        for value in values:
            section = _with(section, value)
        return section

    return change("risk", edited, actor=actor, reason=reason)


def _in_force() -> Iterator[LimitValue]:
    for row in limits_in_force():
        yield LimitValue(row.control, row.value.normalize(), row.scope, row.scope_key, row.hard)


def _recorded_limits(recorded: Any) -> list[LimitValue]:
    """The limits of a recorded section; none when today's schema does not take it."""
    try:
        return list(Risk.model_validate(recorded or {}).limits())
    except ValidationError:
        return []


def _taken_away(limit: LimitValue) -> LimitValue:
    return LimitValue(limit.control, None, limit.scope, limit.scope_key)


def _with(section: dict[str, Any], limit: LimitValue) -> dict[str, Any]:
    """The section with one limit as it shall be."""
    if limit.control == Control.RESTRICTED:
        symbols = dict.fromkeys(section.get("restricted_symbols") or [])
        symbols |= {limit.scope_key: None}
        return section | {"restricted_symbols": [s for s in symbols if s != limit.scope_key or limit.value is not None]}
    if limit.scope == Scope.FIRM:
        return _with_value(section, limit)
    place = f"{limit.scope}s"
    of_scope = section.get(place) or {}
    return section | {place: of_scope | {limit.scope_key: _with_value(of_scope.get(limit.scope_key) or {}, limit)}}


def _with_value(limits: dict[str, Any], limit: LimitValue) -> dict[str, Any]:
    others = {control: value for control, value in limits.items() if control != limit.control}
    if limit.value is None:
        return others
    warns_by_default = limit.control in MAY_ONLY_WARN
    value = {"value": limit.value, "hard": True} if warns_by_default and limit.hard else limit.value
    return limits | {str(limit.control): value}


def _values(limits: BaseModel, scope: Scope, scope_key: str) -> Iterator[LimitValue]:
    for control in Control:
        if found := getattr(limits, control.value, None):
            value, hard = found
            yield LimitValue(control.value, value, scope.value, scope_key, hard)
