"""Writing to the trail. Call it inside the transaction that makes the thing happen."""

from tradingdesk.audit.models import AuditEvent
from tradingdesk.middleware import current_request_id
from tradingdesk.redaction.known import redacted
from tradingdesk.statements import insert

TOLD = frozenset({"before", "after", "reason"})


def event(kind: str, *, actor: str, **facts) -> AuditEvent:
    """Build an event without writing it; `facts` are columns of `AuditEvent`.

    The request id of the HTTP request or task at hand is added when none is given. Secrets that this process knows
    are masked.
    """
    facts.setdefault("request_id", current_request_id())
    for name in TOLD & facts.keys():
        facts[name] = redacted(facts[name])
    return AuditEvent(kind=kind, actor=actor, **facts)


def record(*events: AuditEvent) -> None:
    """Write events in order, in one statement."""
    if events:
        insert(*events)
