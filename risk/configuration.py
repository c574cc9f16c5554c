"""The `risk:` section: the firm's limits, and narrower ones for a broker, account, strategy, symbol and so on.

Its keys are the controls themselves (`risk.controls`), so a new control is known here at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, PlainValidator, ValidationError, create_model

from brokers.models import BrokerAccount
from brokers.registry import adapter_names
from risk.controls import SPECS
from risk.controls.control import ControlSpec, Unit
from risk.limits import (
    LimitValue,
    check,
    limits_in_force,
    must_refuse,
    out_of_range,
    set_limits,
)
from risk.models import Control, Scope
from risk.scopes import PLACES, STRATEGY, SYMBOL, key_problem
from tradingdesk.config import schema
from tradingdesk.config.document import Document, Loc
from tradingdesk.config.models import ConfigurationRecord
from tradingdesk.config.record import change
from tradingdesk.config.schema import Strict, expected, is_number, not_expected
from tradingdesk.fix import AssetClass

Symbol = Annotated[
    str, expected('a symbol such as "IBM"', lambda found: isinstance(found, str) and bool(SYMBOL.fullmatch(found)))
]


Strategy = Annotated[
    str, expected("a strategy's name", lambda found: isinstance(found, str) and bool(STRATEGY.fullmatch(found)))
]
AssetClassName = Annotated[
    str, expected(f"one of {', '.join(AssetClass.values)}", lambda found: found in AssetClass.values)
]
Adapter = Annotated[str, expected(f"one of {', '.join(adapter_names())}", lambda found: found in adapter_names())]
# Restricted symbols are a list in the file.
_LISTED = (Control.RESTRICTED, Scope.SYMBOL)


def _limit(spec: ControlSpec, scope: Scope) -> Any:
    """Annotate one control's value: a number (or true), or a mapping of value and hard where it may only warn."""
    may_warn = not must_refuse(spec, scope)
    what = spec.unit.value + (", or a mapping of value and hard" if may_warn else "")

    def read(found: Any) -> tuple[Decimal, bool]:
        value, hard = found, not spec.warns_by_default
        if may_warn and isinstance(found, dict) and "value" in found and not found.keys() - {"value", "hard"}:
            value, hard = found["value"], found.get("hard", hard)
        if spec.unit is Unit.FLAG and value is True:
            value = 1
        if not is_number(value) or not isinstance(hard, bool) or out_of_range(spec.control, Decimal(value)):
            raise not_expected(what)
        return Decimal(value), hard

    return Annotated[tuple[Decimal, bool] | None, PlainValidator(read, json_schema_input_type=Any)]


def _limits_of(scope: Scope) -> type[BaseModel]:
    """The model of what can be set for a scope."""
    specs = [spec for spec in SPECS.values() if scope in spec.scopes and (spec.control, scope) != _LISTED]
    name = f"{scope.value.title().replace('_', '')}Limits"
    return create_model(name, __base__=Strict, **{spec.control.value: (_limit(spec, scope), None) for spec in specs})


FirmLimits = _limits_of(Scope.FIRM)


class Risk(FirmLimits):
    """The whole section."""

    restricted_symbols: list[Symbol] = []
    adapters: dict[Adapter, _limits_of(Scope.BROKER)] = {}
    accounts: dict[str, _limits_of(Scope.ACCOUNT)] = {}
    strategies: dict[Strategy, _limits_of(Scope.STRATEGY)] = {}
    symbols: dict[Symbol, _limits_of(Scope.SYMBOL)] = {}
    asset_classes: dict[AssetClassName, _limits_of(Scope.ASSET_CLASS)] = {}
    users: dict[str, _limits_of(Scope.USER)] = {}
    user_accounts: dict[str, _limits_of(Scope.USER_ACCOUNT)] = {}
    user_strategies: dict[str, _limits_of(Scope.USER_STRATEGY)] = {}

    def limits(self) -> Iterator[LimitValue]:
        """Every limit that the section sets."""
        yield from _values(self, Scope.FIRM, "")
        for scope, place in PLACES.items():
            for key, limits in getattr(self, place).items():
                yield from _values(limits, scope, key)
        for symbol in dict.fromkeys(self.restricted_symbols):
            yield LimitValue(Control.RESTRICTED, Decimal(1), Scope.SYMBOL, symbol)


class Section(schema.Section):
    """`risk:` of the configuration."""

    schema = Risk

    def problems(self, parsed: Risk, document: Document) -> Iterable[tuple[Loc, str]]:
        """An account with limits of its own is one of the file's, or one that there was; a user there is."""
        brokers = document.data.get("brokers")
        in_file = brokers if isinstance(brokers, dict) else {}
        known = {*in_file, *BrokerAccount.objects.values_list("broker_name", flat=True)}
        for name in parsed.accounts:
            if name not in known:
                yield ("accounts", name), f"no account is called {name!r}; there are: {', '.join(sorted(known))}"
        for scope in (Scope.USER, Scope.USER_ACCOUNT, Scope.USER_STRATEGY):
            for key in getattr(parsed, PLACES[scope]):
                if text := key_problem(scope, key):
                    yield (PLACES[scope], key), text

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
    if (limit.control, limit.scope) == _LISTED:
        symbols = dict.fromkeys(section.get("restricted_symbols") or [])
        symbols |= {limit.scope_key: None}
        return section | {"restricted_symbols": [s for s in symbols if s != limit.scope_key or limit.value is not None]}
    if limit.scope == Scope.FIRM:
        return _with_value(section, limit)
    place = PLACES[Scope(limit.scope)]
    of_scope = section.get(place) or {}
    return section | {place: of_scope | {limit.scope_key: _with_value(of_scope.get(limit.scope_key) or {}, limit)}}


def _with_value(limits: dict[str, Any], limit: LimitValue) -> dict[str, Any]:
    others = {control: value for control, value in limits.items() if control != limit.control}
    if limit.value is None:
        return others
    spec = SPECS[limit.control]
    value = True if spec.unit is Unit.FLAG else limit.value
    if limit.hard is spec.warns_by_default:
        value = {"value": value, "hard": limit.hard}
    return limits | {str(limit.control): value}


def _values(limits: BaseModel, scope: Scope, scope_key: str) -> Iterator[LimitValue]:
    for control in Control:
        if found := getattr(limits, control.value, None):
            value, hard = found
            yield LimitValue(control.value, value, scope.value, scope_key, hard)
