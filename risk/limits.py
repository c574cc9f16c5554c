"""Where a limit changes: whole sets in one transaction, with who and why, seen at once by the gate.

People change limits by `risk.configuration.change_limits`, which comes here with a version of the configuration.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
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
from tradingdesk.errors import InvalidInput
from tradingdesk.fields import EXACT_DIGITS, QUANTITY_PLACES, decimal_places, significant_digits


@dataclass(frozen=True, slots=True)
class LimitValue:
    """What one limit shall be from now on; `value` None takes it away. `hard` False only warns."""

    control: str
    value: Decimal | None
    scope: str = Scope.FIRM
    scope_key: str = ""
    hard: bool = True

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes it one limit: control, scope and scope_key."""
        return self.control, self.scope, self.scope_key


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
    if not reason.strip():
        raise InvalidInput("REASON_REQUIRED", "say why the limits change", "reason")
    with transaction.atomic():
        rules_changed()
        in_force = {_key_of(limit): limit for limit in Limit.objects.all()}
        if replace_all:
            wanted = {key: LimitValue(key[0], None, key[1], key[2]) for key in in_force if key not in wanted} | wanted
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


def _checked(values: Iterable[LimitValue]) -> dict[tuple[str, str, str], LimitValue]:
    wanted: dict[tuple[str, str, str], LimitValue] = {}
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
    if not value.hard and must_refuse(spec, value.scope):
        raise InvalidInput("LIMIT_MUST_BE_HARD", f"{value.control} refuses; it cannot only warn", "hard")
    if value.value is not None and (wrong := out_of_range(value.control, value.value)):
        raise InvalidInput("LIMIT_OUT_OF_RANGE", f"{value.control}={value.value}: {wrong}", "value")


def must_refuse(spec: ControlSpec, scope: str) -> bool:
    """Whether a control's limit cannot only warn here: without a hard one of the firm there is no trading."""
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
    return (limit.value, limit.hard) != (value.value, value.hard)


def _write(limit: Limit | None, value: LimitValue, *, actor: str, reason: str):
    """Store one change; the event that tells of it."""
    before = _as_json(limit.value, limit.hard) if limit else None
    if value.value is None:
        limit.delete()
    else:
        row = limit or Limit(control=value.control, scope=value.scope, scope_key=value.scope_key)
        row.value, row.hard = value.value, value.hard
        row.set_by, row.reason, row.set_at = actor, reason, timezone.now()
        row.save()
    after = None if value.value is None else _as_json(value.value, value.hard)
    return trail.event(
        "limit.changed",
        actor=actor,
        entity="limit",
        entity_key=":".join(filter(None, value.key)),
        before=before,
        after=after,
        reason=reason,
        **trail_columns(value.scope, value.scope_key),
    )


def _as_json(value: Decimal, hard: bool) -> dict:
    return {"value": f"{value.normalize():f}", "hard": hard}


def _key_of(limit: Limit) -> tuple[str, str, str]:
    return limit.control, limit.scope, limit.scope_key
