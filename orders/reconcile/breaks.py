"""The work queue of differences: opening, renewing and closing breaks, and what they block.

Each function runs under the lock of the account's `ReconciliationMemory`, which the caller holds.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from django.utils import timezone

from brokers.models import BrokerAccount
from orders.models import Order, ReconciliationBreak, ReconciliationMemory
from orders.reconcile.compare import POSITIONS, Difference, was_compared
from orders.reconcile.reading import Reading
from risk import exposure
from tradingdesk.audit import trail

log = logging.getLogger(__name__)

SYSTEM = "system:reconcile"
_OPEN = ReconciliationBreak.State.OPEN
_NAMED_AT_MOST = 3


@dataclass(slots=True)
class Changes:
    """What a comparison did to the queue."""

    opened: list[ReconciliationBreak] = field(default_factory=list)
    closed: list[ReconciliationBreak] = field(default_factory=list)


def lock_memory(account: BrokerAccount) -> ReconciliationMemory:
    """Lock what is remembered of an account; whoever moves its breaks holds this."""
    ReconciliationMemory.objects.get_or_create(account=account)
    return ReconciliationMemory.objects.select_for_update().get(account=account)


def open_breaks(account: BrokerAccount) -> list[ReconciliationBreak]:
    """What waits at this account, the oldest first."""
    return list(ReconciliationBreak.objects.filter(account=account, state=_OPEN).order_by("id"))


def under_their_open_kind(found: Iterable[Difference], waiting: Iterable[ReconciliationBreak]) -> list[Difference]:
    """Call a position's difference what it was called when its break opened, whatever has traded since."""
    kinds = {row.key: row.kind for row in waiting if row.kind in POSITIONS}
    return [
        replace(one, kind=type(one.kind)(kinds[one.key])) if one.kind in POSITIONS and one.key in kinds else one
        for one in found
    ]


def keep_breaks(account: BrokerAccount, reading: Reading, found: list[Difference], sure: list[Difference]) -> Changes:
    """Open what is sure, renew what is open, and close what has come to agree; then say what that blocks."""
    changes = Changes()
    waiting = {(row.kind, row.key): row for row in open_breaks(account)}
    for one in sure:
        row = waiting.get((one.kind, one.key))
        if row is not None:
            _renew(row, one)
        elif not _was_kept(account, one):
            changes.opened.append(_open(account, one))
    still = {(one.kind, one.key) for one in found}
    for key, row in waiting.items():
        if key not in still and was_compared(reading.desk, reading.broker, *key):
            close(row, ReconciliationBreak.Resolution.AGREED, actor=SYSTEM, reason="desk and broker agree again")
            changes.closed.append(row)
    if changes.opened or changes.closed:
        refresh_block(account)
    return changes


def what_stands(account: BrokerAccount, found: Iterable[Difference]) -> list[str]:
    """Say what keeps a restored account from trading: open breaks and new differences that are not safe.

    A difference on which a person kept the desk's word does not.
    """
    waiting = [row.text for row in open_breaks(account) if not row.safe]
    return waiting + [one.name for one in found if not one.safe and not _was_kept(account, one)]


def close(row: ReconciliationBreak, resolution: str, *, actor: str, reason: str) -> None:
    """Resolve one break and record it; the caller refreshes the block."""
    row.state, row.resolution = ReconciliationBreak.State.RESOLVED, resolution
    row.resolved_at, row.resolved_by, row.reason = timezone.now(), actor, reason
    row.save()
    _record("reconcile.resolved", row, actor=actor, reason=reason, after={"resolution": resolution})


def refresh_block(account: BrokerAccount) -> None:
    """Keep what intake refuses by, the open breaks that are not safe: for the gate under its lock, and to be shown."""
    unsafe = [row for row in open_breaks(account) if not row.safe]
    text = "; ".join(row.text for row in unsafe[:_NAMED_AT_MOST])
    if len(unsafe) > _NAMED_AT_MOST:
        text += f"; and {len(unsafe) - _NAMED_AT_MOST} more"
    before = BrokerAccount.objects.values_list("unreconciled", flat=True).get(pk=account.pk)
    if bool(before) != bool(text):
        kind = "reconcile.blocked" if text else "reconcile.unblocked"
        trail.record(
            trail.event(
                kind,
                actor=SYSTEM,
                entity="account",
                entity_key=account.pk,
                broker_name=account.pk,
                before={"unreconciled": before},
                after={"unreconciled": text},
            )
        )
    BrokerAccount.objects.filter(pk=account.pk).update(unreconciled=text)
    exposure.note_unreconciled(account.pk, text)


def assign(row: ReconciliationBreak, *, owner, actor: str) -> None:
    """Say who looks after an open break."""
    before = row.owner.get_username() if row.owner else ""
    row.owner = owner
    row.save(update_fields=["owner"])
    after = owner.get_username() if owner else ""
    _record("reconcile.assigned", row, actor=actor, before={"owner": before}, after={"owner": after})


def _open(account: BrokerAccount, one: Difference) -> ReconciliationBreak:
    row = ReconciliationBreak(account=account, kind=one.kind, key=one.key, order=_order_of(account, one))
    _take_values(row, one)
    row.save()
    _record("reconcile.opened", row, actor=SYSTEM, after=_values(row))
    log.error("%s: desk and broker do not agree: %s", account.broker_name, row.text)
    return row


def _renew(row: ReconciliationBreak, one: Difference) -> None:
    before, changed = _values(row), row.signature != one.signature
    _take_values(row, one)
    row.seen_at = timezone.now()
    row.save()
    if changed:
        _record("reconcile.changed", row, actor=SYSTEM, before=before, after=_values(row))
        refresh_block(row.account)


def _take_values(row: ReconciliationBreak, one: Difference) -> None:
    row.symbol, row.signature, row.detail = one.symbol, one.signature, dict(one.detail)
    row.desk_value, row.broker_value = one.desk_value, one.broker_value


def _was_kept(account: BrokerAccount, one: Difference) -> bool:
    """Whether a person decided to keep the desk's word on just this difference."""
    last = ReconciliationBreak.objects.filter(account=account, kind=one.kind, key=one.key).order_by("-id").first()
    return last is not None and last.resolution == last.Resolution.KEPT and last.signature == one.signature


def _order_of(account: BrokerAccount, one: Difference) -> Order | None:
    if not one.broker_order_id:
        return None
    return Order.objects.filter(account=account, broker_order_id=one.broker_order_id).first()


def _values(row: ReconciliationBreak) -> dict:
    names = ("desk_value", "broker_value", "detail")
    return {name: getattr(row, name) for name in names}


def _record(kind: str, row: ReconciliationBreak, *, actor: str, **facts) -> None:
    trail.record(
        trail.event(
            kind,
            actor=actor,
            entity="reconciliation_break",
            entity_key=str(row.pk),
            broker_name=row.account_id,
            client_order_id=row.order.client_order_id if row.order else "",
            symbol=row.symbol,
            **facts,
        )
    )
