from django.db import models
from django.utils import timezone

from orders.models.order import Order
from orders.querysets import OrderRequestQuerySet
from tradingdesk.fields import MoneyField, PriceField, QuantityField
from tradingdesk.fix import RequestKind, RequestState


class OrderRequest(models.Model):
    """One thing to tell a broker: the outbox. The Celery message only wakes the worker; this row is the queue.

    `holder` is the process that claimed it; `sending` is committed before the socket is touched.
    """

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="requests")
    broker_name = models.CharField(max_length=64)
    kind = models.CharField(max_length=8, choices=RequestKind)
    client_order_id = models.CharField(max_length=48, unique=True)
    orig_client_order_id = models.CharField(max_length=48, blank=True, default="")
    broker_order_id = models.CharField(max_length=64, blank=True, default="")
    wire_ref = models.CharField(max_length=64, blank=True, default="")
    state = models.CharField(max_length=8, choices=RequestState, default=RequestState.QUEUED)
    asked_by = models.CharField(
        max_length=150, blank=True, default="", db_default="", help_text="who asked for a cancel or replace"
    )
    holder = models.CharField(max_length=128, blank=True, default="")
    order_qty = QuantityField(null=True, blank=True)
    price = PriceField(null=True, blank=True)
    stop_px = PriceField(null=True, blank=True)
    trail_price = PriceField(null=True, blank=True)
    time_in_force = models.CharField(max_length=4, blank=True, default="")
    buying_power_held = MoneyField(
        null=True, blank=True, help_text="what a replace takes beyond what its order took before; null: nothing"
    )
    attempts = models.PositiveIntegerField(default=0)
    queued_at = models.DateTimeField(default=timezone.now)
    not_before = models.DateTimeField(null=True, blank=True)
    send_before = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)
    text = models.TextField(blank=True, default="")

    objects = OrderRequestQuerySet.as_manager()

    class Meta:
        db_table = "order_requests"
        ordering = ["id"]
        indexes = [
            models.Index(
                fields=["broker_name", "state", "queued_at"],
                name="request_waiting",
                condition=models.Q(state__in=["queued", "sending", "unknown"]),
            ),
            models.Index(fields=["broker_name", "broker_order_id"], name="request_broker_order"),
            models.Index(
                fields=["broker_name", "answered_at"],
                name="request_buying_power",
                condition=models.Q(buying_power_held__isnull=False),
            ),
            models.Index(
                fields=["queued_at"],
                name="request_changes_queued",
                condition=models.Q(kind__in=["replace", "cancel"]),
            ),
            models.Index(
                fields=["broker_name", "answered_at"], name="request_refused", condition=models.Q(state="refused")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.client_order_id} {self.state}"
