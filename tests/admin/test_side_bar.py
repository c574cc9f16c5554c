"""The side bar's badges: what waits for this person, and nothing else."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from orders.models import Approval
from orders.models.reconciliation import ReconciliationBreak
from tests import factories
from tests.admin import rows
from tests.admin.conftest import signed_in
from tests.orders.soft import held_order, soft_limit

INDEX = reverse("admin:index")
PLACES = {
    "approvals": reverse("admin:orders_approval_changelist"),
    "breaks": reverse("admin:orders_reconciliationbreak_changelist"),
}


@pytest.fixture
def person(desk):
    """Somebody who trades and may approve."""
    soft_limit()
    person = factories.member_of("trader", "risk officer")
    person.is_staff = True
    person.save()
    return person


def badge(client, place: str) -> str:
    """What stands beside the side bar's link; "" for nothing."""
    link = re.search(rf'<a href="{PLACES[place]}" class="flex.*?</a>', client.get(INDEX).content.decode(), re.S)
    assert link, f"{place}: not in the side bar"
    found = re.search(r'<span class="font-semibold.*?>\s*(\d+)\s*</span>', link.group(), re.S)
    return found.group(1) if found else ""


def test_approvals_of_others_are_counted_and_ones_own_are_not(person):
    client = signed_in(person)
    held_order(by="ann"), held_order(by="bob", order_qty="60"), held_order(by=person, order_qty="70")
    held_order(by=person.username.upper(), order_qty="80")
    assert badge(client, "approvals") == "2"

    Approval.objects.filter(asked_by="ann").update(expires_at=timezone.now() - timedelta(seconds=1))
    assert badge(client, "approvals") == "1"
    Approval.objects.filter(asked_by="bob").update(state=Approval.State.REFUSED)
    assert badge(client, "approvals") == ""


def test_who_may_not_approve_sees_no_badge(person, admin_of):
    held_order(by="ann")
    assert badge(admin_of("viewer"), "approvals") == ""


def test_open_breaks_are_counted_until_they_are_resolved(superuser):
    rows.one_of_each()
    count = ReconciliationBreak.objects.filter(state="open").count()
    assert count
    assert badge(superuser, "breaks") == str(count)
    ReconciliationBreak.objects.update(state="resolved")
    assert badge(superuser, "breaks") == ""
