"""What the desk's books say of the one order that the tests of executions trade."""

from risk.models import ExposureTotal
from tradingdesk.audit.models import AuditEvent


def exposure(symbol: str = "IBM") -> ExposureTotal:
    return ExposureTotal.objects.get(key=f"2:alpaca:{symbol}")


def kinds() -> list[str]:
    """The trail about the order since it was accepted."""
    events = AuditEvent.objects.filter(client_order_id="X").order_by("id").values_list("kind", flat=True)
    return [kind for kind in events if kind not in ("order.new", "order.routed")]
