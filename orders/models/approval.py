from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils import timezone

from orders.models.order import Order


class Approval(models.Model):
    """An order that soft limits stand against, and what a second person said to it.

    It changes only while its order's row is locked. `breaks` are the soft limits that the order passes, each as a
    denial: approving means these, and no others. Until it is approved the order reserves nothing and goes to no
    account.
    """

    class State(models.TextChoices):
        WAITING = "waiting"
        APPROVED = "approved"
        REFUSED = "refused"  # by a person
        DENIED = "denied"  # by the gate, when it was to be approved
        EXPIRED = "expired"
        WITHDRAWN = "withdrawn"  # its order was cancelled

    order = models.OneToOneField(Order, on_delete=models.PROTECT, related_name="approval")
    breaks = models.JSONField(encoder=DjangoJSONEncoder)
    asked_by = models.CharField(max_length=150)
    asked_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    state = models.CharField(max_length=16, choices=State, default=State.WAITING)
    decided_by = models.CharField(max_length=150, blank=True, default="")
    decided_at = models.DateTimeField(null=True, blank=True)
    reason = models.TextField(blank=True, default="")

    class Meta:
        db_table = "order_approvals"
        ordering = ["-asked_at", "-id"]
        indexes = [
            models.Index(fields=["expires_at"], name="approval_waiting", condition=models.Q(state="waiting")),
            models.Index(fields=["asked_at", "id"], name="approval_asked"),
        ]

    def __str__(self) -> str:
        return f"approval of {self.order_id}: {self.state}"

    @property
    def is_waiting(self) -> bool:
        """Whether nobody has decided it yet."""
        return self.state == self.State.WAITING
