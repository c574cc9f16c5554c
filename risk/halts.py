"""The only way trading is stopped and let go again: for the firm, an account or a symbol, by levels."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from risk.limits import rules_changed
from risk.models import Halt, HaltedScope, Level, Operation
from risk.scopes import check_scope, trail_columns
from tradingdesk.audit import trail
from tradingdesk.errors import Conflict, InvalidInput, require_reason


def halts_in_force() -> list[Halt]:
    """Every halt that nobody has cleared, the latest first."""
    return list(Halt.objects.filter(cleared_at=None))


def halt(
    *,
    scope: str,
    scope_key: str = "",
    level: str = Level.FREEZE,
    operation: str = "",
    flatten: bool = False,
    trigger: str = "",
    reason: str,
    actor: str,
) -> Halt:
    """Stop orders from the next one on, as far as `level` goes; cancels go on. The halt in force if there is one.

    Takes the firm's exposure row: an order is committed before the halt or refused by it. The cancels and closing
    orders that a level asks for are made by `orders.halting`, at once or by the next turn of its task.

    Raises:
        InvalidInput: no reason, a scope that names nothing, or an operation or `flatten` that the level does not take.
    """
    require_reason(reason)
    check_scope(scope, scope_key)
    _check_level(scope, level, operation, flatten)
    where = {"scope": scope, "scope_key": scope_key, "level": level, "operation": operation}
    with transaction.atomic():
        rules_changed()
        known = Halt.objects.filter(**where, cleared_at=None).first()
        if known and known.flatten >= flatten:
            return known
        made = known or Halt(**where, trigger=trigger, reason=reason, set_by=actor)
        made.flatten = flatten
        made.save()
        trail.record(_event("kill.flatten" if flatten else "kill.halt", made, actor=actor, reason=reason))
    return made


def resume(*, halt: Halt, reason: str, actor: str) -> Halt:
    """Clear one halt; others of a wider or narrower scope stay in force.

    Raises:
        InvalidInput: no reason.
        Conflict: someone has cleared it before.
    """
    require_reason(reason)
    with transaction.atomic():
        rules_changed()
        halt = Halt.objects.select_for_update().get(pk=halt.pk)
        if halt.cleared_at:
            raise Conflict("HALT_ALREADY_CLEARED", f"{halt.cleared_by} cleared it at {halt.cleared_at.isoformat()}")
        halt.cleared_by, halt.cleared_at, halt.clear_reason = actor, timezone.now(), reason
        halt.save(update_fields=["cleared_by", "cleared_at", "clear_reason"])
        trail.record(_event("kill.resume", halt, actor=actor, reason=reason))
    return halt


def _check_level(scope: str, level: str, operation: str, flatten: bool) -> None:
    if scope not in HaltedScope.values:
        wanted = ", ".join(HaltedScope.values)
        raise InvalidInput("UNKNOWN_SCOPE", f"found {scope!r}, expected one of {wanted}", "scope")
    if level not in Level.values:
        raise InvalidInput("UNKNOWN_LEVEL", f"found {level!r}, expected one of {', '.join(Level.values)}", "level")
    if level == Level.REJECT and operation not in Operation.values:
        wanted = ", ".join(Operation.values)
        raise InvalidInput("UNKNOWN_OPERATION", f"found {operation!r}, expected one of {wanted}", "operation")
    if level != Level.REJECT and operation:
        raise InvalidInput("OPERATION_NOT_WANTED", f"an operation goes with level {Level.REJECT} only", "operation")
    if flatten and level != Level.REDUCE_ONLY:
        raise InvalidInput("LEVEL_NOT_APPLICABLE", f"closing orders pass on level {Level.REDUCE_ONLY} only", "level")


def _event(kind: str, halt: Halt, *, actor: str, reason: str):
    names = ("scope", "scope_key", "level", "operation", "flatten", "trigger", "reason", "set_by")
    state = {name: getattr(halt, name) for name in names}
    before, after = (state, None) if kind == "kill.resume" else (None, state)
    return trail.event(
        kind,
        actor=actor,
        entity="halt",
        entity_key=str(halt.pk),
        before=before,
        after=after,
        reason=reason,
        **trail_columns(halt.scope, halt.scope_key),
    )
