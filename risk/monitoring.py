"""What /metrics tells about risk: that trading is stopped, and how much is in use."""

from collections.abc import Iterator

from django.db.models import Count
from prometheus_client.core import Metric

from risk.models import Halt
from tradingdesk.health import gauge


def gauges() -> Iterator[Metric]:
    """Halts in force, by scope."""
    halts = Halt.objects.filter(cleared_at=None).order_by("scope").values_list("scope").annotate(Count("id"))
    yield gauge("desk_halts_in_force", "Halts that nobody has cleared", ["scope"], halts)
