"""The `risk:` section: the firm's limits, and narrower ones for a broker, account, strategy, symbol and so on.

Its keys are the controls themselves (`risk.controls`), so a new control is known here at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
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
    check_pairs,
    limits_in_force,
    must_refuse,
    out_of_range,
    pair_problem,
    set_limits,
    taken_away,
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
    """Annotate one control's value: a number (or true), or a mapping where there may be a soft limit, too.

    It becomes the limits as values by whether they are hard.
    """
    forms = [spec.unit.value]
    if spec.may_warn:
        forms += [] if must_refuse(spec, scope) else ["a mapping of value and hard"]
        forms += ["a mapping of soft and hard, the soft one tighter"]

    def read(found: Any) -> dict[bool, Decimal]:
        pair = {hard: _number(spec, value) for hard, value in by_hardness(found, spec).items()}
        if not pair or None in pair.values() or not _may_be(spec, scope, pair):
            raise not_expected(", or ".join(forms))
        return pair

    return Annotated[dict[bool, Decimal] | None, PlainValidator(read, json_schema_input_type=Any)]


def by_hardness(found: Any, spec: ControlSpec) -> dict[bool, Any]:
    """The values that a control is given in the section, by whether they are hard; none for what is no form of it."""
    otherwise = not spec.warns_by_default
    if not isinstance(found, dict):
        return {otherwise: found} if found is not None else {}
    if "value" in found and not found.keys() - {"value", "hard"} and isinstance(found.get("hard", True), bool):
        return {found.get("hard", otherwise): found["value"]}
    if found and not found.keys() - {"soft", "hard"}:
        return {name == "hard": found[name] for name in ("hard", "soft") if name in found}
    return {}


def _number(spec: ControlSpec, value: Any) -> Decimal | None:
    """A limit's value; None for what cannot be one."""
    if spec.unit is Unit.FLAG and value is True:
        value = 1
    return None if not is_number(value) or out_of_range(spec.control, Decimal(value)) else Decimal(value)


def _may_be(spec: ControlSpec, scope: Scope, pair: Mapping[bool, Decimal]) -> bool:
    if False not in pair:
        return True
    return spec.may_warn and pair_problem(spec.control, scope, pair.get(True), pair[False]) is None


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
            section = _with(section, taken_away(gone.key))
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
    check_pairs({value.key: value.value for value in (*_in_force(), *values)})

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
    spec, name = SPECS[limit.control], str(limit.control)
    pair = by_hardness(limits.get(name), spec)
    pair.pop(limit.hard, None)
    if limit.value is not None:
        pair[limit.hard] = True if spec.unit is Unit.FLAG else limit.value
    others = {control: value for control, value in limits.items() if control != name}
    return limits | {name: _written(pair, spec)} if pair else others


def _written(pair: Mapping[bool, Any], spec: ControlSpec) -> Any:
    """A control's limits, by whether they are hard, as the file says them."""
    if len(pair) == 2:
        return {"soft": pair[False], "hard": pair[True]}
    ((hard, value),) = pair.items()
    return {"value": value, "hard": hard} if hard is spec.warns_by_default else value


def _values(limits: BaseModel, scope: Scope, scope_key: str) -> Iterator[LimitValue]:
    for control in Control:
        for hard, value in (getattr(limits, control.value, None) or {}).items():
            yield LimitValue(control.value, value, scope.value, scope_key, hard)
