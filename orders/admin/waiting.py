"""How much waits for a person, as the side bar shows it beside the lists."""

from django.db.models import Exists, OuterRef
from django.http import HttpRequest
from django.utils import timezone

from orders.admin.approvals import MAY_DECIDE
from orders.models import Approval, RebalanceLeg, ReconciliationBreak


def approvals_to_decide(request: HttpRequest) -> int:
    """Count the orders whose approval this person may decide: those of others, and of others' plans, in time."""
    if not request.user.has_perm(MAY_DECIDE):
        return 0
    name = request.user.get_username()
    waiting = Approval.objects.filter(state=Approval.State.WAITING, expires_at__gt=timezone.now())
    of_own_plans = RebalanceLeg.objects.filter(order=OuterRef("order"), plan__proposed_by__iexact=name)
    others = waiting.exclude(asked_by__iexact=name).exclude(order__submitted_by=request.user)
    return others.exclude(Exists(of_own_plans)).count()


def open_breaks(request: HttpRequest) -> int:
    """Count the differences between desk and brokers that nobody has resolved."""
    return ReconciliationBreak.objects.filter(state=ReconciliationBreak.State.OPEN).count()
