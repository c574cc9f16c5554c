from django.db import models
from django.utils import timezone

from orders.models.order import Order
from orders.models.request import OrderRequest
from risk.models import Halt


class HaltCancel(models.Model):
    """One order that a halt wants cancelled, and the cancel that was last asked for; none where it was never sent.

    What became of it is on the order and the request: `orders.halting.counts_of` tells dispatched and acknowledged
    cancels apart.
    """

    halt = models.ForeignKey(Halt, on_delete=models.PROTECT, related_name="cancels")
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="halt_cancels")
    request = models.ForeignKey(OrderRequest, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    asked_at = models.DateTimeField(default=timezone.now)
    times_asked = models.PositiveIntegerField(default=1)

    class Meta:
        db_table = "halt_cancels"
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["halt", "order"], name="halt_cancel_once_an_order")]

    def __str__(self) -> str:
        return f"halt {self.halt_id}: {self.order_id}"
