"""Where a limit changes: whole sets in one transaction, with who and why, seen at once by the gate.

People change limits by `risk.configuration.change_limits`, which comes here with a version of the configuration.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from django.db import transaction
from django.utils import timezone

from risk.controls import SPECS
from risk.controls.control import ControlSpec, Unit
from risk.exposure import FIRM_KEY
from risk.models import Control, ExposureTotal, Limit, Scope
from risk.scopes import check_scope, trail_columns
from tradingdesk.audit import trail
from tradingdesk.errors import InvalidInput, require_reason
from tradingdesk.fields import EXACT_DIGITS, QUANTITY_PLACES, decimal_places, plain, significant_digits

# Control, scope, scope_key, and whether it is hard.
LimitKey = tuple[str, str, str, bool]


@dataclass(frozen=True, slots=True)
class LimitValue:
    """What one limit shall be from now on; `value` None takes it away.

    A scope may have a hard limit of a control and a soft one, which is tighter: each is a limit of its own.
    """

    control: str
    value: Decimal | None
    scope: str = Scope.FIRM
    scope_key: str = ""
    hard: bool = True

    @property
    def key(self) -> LimitKey:
        """What makes it one limit."""
        return self.control, self.scope, self.scope_key, self.hard


def limits_in_force() -> list[Limit]:
    """Every limit that the gate applies now."""
    return list(Limit.objects.all())


def set_limits(values: Iterable[LimitValue], *, actor: str, reason: str, replace_all: bool = False) -> list[Limit]:
    """Set, change or take away limits, all or none; the limits in force afterwards.

    Limits that are not named stay, unless `replace_all`. Takes the firm's exposure row, so an order is
    judged by the old rules or the new ones, never by both. A value that is already in force is left alone.

    Raises:
        InvalidInput: an unknown control, a scope it does not go with, or a value out of range; nothing changed.
    """
    wanted = _checked(values)
    require_reason(reason, "the limits change")
    with transaction.atomic():
        rules_changed()
        in_force = {_key_of(limit): limit for limit in Limit.objects.all()}
        if replace_all:
            wanted = {key: taken_away(key) for key in in_force if key not in wanted} | wanted
        check_pairs({key: limit.value for key, limit in in_force.items()} | {k: v.value for k, v in wanted.items()})
        changes = [(in_force.get(key), value) for key, value in wanted.items() if _differs(in_force.get(key), value)]
        trail.record(*[_write(limit, value, actor=actor, reason=reason) for limit, value in changes])
    return limits_in_force()


def rules_changed() -> None:
    """Lock the firm's exposure row to the end of the transaction and move its rules_version on.

    Intake, which locks the same row, reads the rules again.
    """
    firm, _ = ExposureTotal.objects.select_for_update().get_or_create(key=FIRM_KEY)
    # From the clock, so that a version which was rolled back never comes again with other rules.
    firm.rules_version = max(firm.rules_version + 1, time.time_ns() // 1000)
    firm.save(update_fields=["rules_version", "updated_at"])


def taken_away(key: LimitKey) -> LimitValue:
    """Say that a limit is to go."""
    control, scope, scope_key, hard = key
    return LimitValue(control, None, scope, scope_key, hard)


def check_pairs(limits: Mapping[LimitKey, Decimal | None]) -> None:
    """Refuse soft limits that could not do anything beside the hard one of their scope, or that need one.

    Raises:
        InvalidInput: names the first.
    """
    for (control, scope, scope_key, hard), value in limits.items():
        if hard or value is None:
            continue
        if problem := pair_problem(control, scope, limits.get((control, scope, scope_key, True)), value):
            code, text = problem
            raise InvalidInput(code, f"{control}: {text}", "hard")


def pair_problem(control: str, scope: str, hard: Decimal | None, soft: Decimal) -> tuple[str, str] | None:
    """Say, as a code and in words, why a scope cannot have this soft limit beside this hard one (None: not set)."""
    spec = SPECS[control]
    if hard is None:
        text = "a soft limit of the firm needs a hard one beside it"
        return ("LIMIT_MUST_BE_HARD", text) if must_refuse(spec, scope) else None
    if soft == hard or spec.tightest(soft, hard) != soft:
        text = f"the soft limit {plain(soft)} never counts beside the hard one {plain(hard)}: tighten it, or remove it"
        return "SOFT_LIMIT_NOT_TIGHTER", text
    return None


def _checked(values: Iterable[LimitValue]) -> dict[LimitKey, LimitValue]:
    wanted: dict[LimitKey, LimitValue] = {}
    for value in values:
        check(value)
        if value.key in wanted:
            raise InvalidInput("LIMIT_TWICE", f"{value.control} is given twice", value.control)
        wanted[value.key] = value
    return wanted


def check(value: LimitValue) -> None:
    """Refuse a limit that the gate could not apply as it is written.

    Raises:
        InvalidInput: its code says which part is wrong.
    """
    if value.control not in Control.values:
        raise InvalidInput("UNKNOWN_CONTROL", f"no control is called {value.control}", "control")
    spec = SPECS[value.control]
    if value.scope not in spec.scopes:
        scopes = ", ".join(spec.scopes)
        raise InvalidInput("SCOPE_NOT_APPLICABLE", f"{value.control} is set for: {scopes}; not {value.scope}", "scope")
    if value.value is not None:  # what is left of a user who is gone can be taken away
        check_scope(value.scope, value.scope_key)
    if not value.hard and not spec.may_warn:
        raise InvalidInput("LIMIT_MUST_BE_HARD", f"{value.control} refuses; it cannot only warn", "hard")
    if value.value is not None and (wrong := out_of_range(value.control, value.value)):
        raise InvalidInput("LIMIT_OUT_OF_RANGE", f"{value.control}={value.value}: {wrong}", "value")


def must_refuse(spec: ControlSpec, scope: str) -> bool:
    """Whether there is no soft limit of a control alone here: without a hard one of the firm there is no trading."""
    return not spec.may_warn or (spec.required and scope == Scope.FIRM)


def out_of_range(control: str, value: Decimal) -> str:
    """Say why a control cannot have this value; "" when it can."""
    unit = SPECS[control].unit
    if not value.is_finite() or value < 0:
        return "a number of 0 or more is needed"
    if decimal_places(value) > QUANTITY_PLACES or significant_digits(value) > EXACT_DIGITS or value >= 10**EXACT_DIGITS:
        return f"at most {EXACT_DIGITS} digits, {QUANTITY_PLACES} after the point"
    fits = {
        Unit.SECONDS: value > 0,
        Unit.SHARE: value <= 1,
        Unit.COUNT: value == value.to_integral_value(),
        Unit.FLAG: value == 1,
    }
    return "" if fits.get(unit, True) else f"{unit.value} is needed"


def _differs(limit: Limit | None, value: LimitValue) -> bool:
    if limit is None or value.value is None:
        return (limit is None) is not (value.value is None)
    return limit.value != value.value


def _write(limit: Limit | None, value: LimitValue, *, actor: str, reason: str):
    """Store one change; the event that tells of it."""
    before = _as_json(limit.value, limit.hard) if limit else None
    if value.value is None:
        limit.delete()
    else:
        row = limit or Limit(control=value.control, scope=value.scope, scope_key=value.scope_key, hard=value.hard)
        row.value = value.value
        row.set_by, row.reason, row.set_at = actor, reason, timezone.now()
        row.save()
    after = None if value.value is None else _as_json(value.value, value.hard)
    return trail.event(
        "limit.changed",
        actor=actor,
        entity="limit",
        entity_key=":".join(filter(None, (value.control, value.scope, value.scope_key))),
        before=before,
        after=after,
        reason=reason,
        **trail_columns(value.scope, value.scope_key),
    )


def _as_json(value: Decimal, hard: bool) -> dict:
    return {"value": f"{value.normalize():f}", "hard": hard}


def _key_of(limit: Limit) -> LimitKey:
    return limit.control, limit.scope, limit.scope_key, limit.hard
