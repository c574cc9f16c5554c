"""The only way trading is stopped and let go again, for the firm, an account or a symbol."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from risk.limits import rules_changed
from risk.models import Halt
from risk.scopes import check_scope, trail_columns
from tradingdesk.audit import trail
from tradingdesk.errors import Conflict, InvalidInput


def halts_in_force() -> list[Halt]:
    """Every halt that nobody has cleared, the latest first."""
    return list(Halt.objects.filter(cleared_at=None))


def halt(*, scope: str, scope_key: str = "", reason: str, actor: str) -> Halt:
    """Stop new orders from the next one on; cancels go on. The halt in force if there is one already.

    Takes the firm's exposure row: an order is committed before the halt or refused by it.

    Raises:
        InvalidInput: no reason, or a scope that names nothing.
    """
    _require_reason(reason)
    check_scope(scope, scope_key)
    with transaction.atomic():
        rules_changed()
        known = Halt.objects.filter(scope=scope, scope_key=scope_key, cleared_at=None).first()
        if known:
            return known
        made = Halt.objects.create(scope=scope, scope_key=scope_key, reason=reason, set_by=actor)
        trail.record(_event("kill.halt", made, actor=actor, reason=reason))
    return made


def resume(*, halt: Halt, reason: str, actor: str) -> Halt:
    """Clear one halt; others of a wider or narrower scope stay in force.

    Raises:
        InvalidInput: no reason.
        Conflict: someone has cleared it before.
    """
    _require_reason(reason)
    with transaction.atomic():
        rules_changed()
        halt = Halt.objects.select_for_update().get(pk=halt.pk)
        if halt.cleared_at:
            raise Conflict("HALT_ALREADY_CLEARED", f"{halt.cleared_by} cleared it at {halt.cleared_at.isoformat()}")
        halt.cleared_by, halt.cleared_at, halt.clear_reason = actor, timezone.now(), reason
        halt.save(update_fields=["cleared_by", "cleared_at", "clear_reason"])
        trail.record(_event("kill.resume", halt, actor=actor, reason=reason))
    return halt


def _require_reason(reason: str) -> None:
    if not reason.strip():
        raise InvalidInput("REASON_REQUIRED", "say why", "reason")


def _event(kind: str, halt: Halt, *, actor: str, reason: str):
    state = {"scope": halt.scope, "scope_key": halt.scope_key, "reason": halt.reason, "set_by": halt.set_by}
    before, after = (None, state) if kind == "kill.halt" else (state, None)
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
