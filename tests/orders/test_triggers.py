"""What trips a halt by itself: only what the configuration declares, and never again for what a person has seen."""

from datetime import timedelta

import pytest
from django.utils import timezone
from pydantic import ValidationError

from orders import tasks
from orders.models import Order, OrderRequest, ReconciliationBreak
from orders.reconcile.compare import BreakKind
from orders.triggers import watch
from risk.halts import halt, resume
from risk.models import Halt, Scope
from tests.orders.desk import roomy_desk, submit
from tradingdesk.audit.models import AuditEvent
from tradingdesk.config.models import ConfigurationRecord
from tradingdesk.config.schema import sections
from tradingdesk.fix import OrdStatus, RequestState

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("wakings")]


@pytest.fixture
def desk() -> None:
    roomy_desk()


def declare(**triggers) -> None:
    """Put triggers in force, as a loaded configuration would."""
    version = ConfigurationRecord.objects.count() + 1
    whole = {"halt_triggers": triggers}
    ConfigurationRecord.objects.create(version=version, changed_by="rita", whole=whole, diff=[])


def orders(count: int) -> list[Order]:
    return [submit(order_qty="1") for _ in range(count)]


def refused(order: Order, **request) -> None:
    now = timezone.now()
    OrderRequest.objects.filter(order=order).update(state="refused", sent_at=now, answered_at=now, **request)


def broken(name: str, key: str) -> ReconciliationBreak:
    return ReconciliationBreak.objects.create(account_id=name, kind=BreakKind.CASH, key=key)


def tripped() -> list[tuple]:
    return [(one.trigger, one.scope, one.scope_key, one.level) for one in Halt.objects.filter(cleared_at=None)]


def test_nothing_trips_that_the_configuration_does_not_declare(desk):
    orders(3)
    assert watch() == []
    assert not Halt.objects.exists()


def test_runaway_order_rate_stops_what_increases_exposure_at_the_threshold(desk):
    declare(order_rate={"threshold": 4, "seconds": 60, "level": "reduce_only"})
    orders(3)
    assert watch() == []
    orders(1)
    tasks.watch_halts()
    assert tripped() == [("order_rate", "firm", "", "reduce_only")]
    assert submit().status == OrdStatus.DENIED
    event = AuditEvent.objects.get(kind="kill.halt")
    assert (event.actor, event.reason) == ("system:trigger.order_rate", "order_rate: found 4 in 60 s, limit 4 in 60 s")


def test_orders_before_the_window_and_those_placed_at_the_broker_do_not_count(desk):
    declare(order_rate={"threshold": 2, "seconds": 60})
    before, elsewhere, _ = orders(3)
    Order.objects.filter(pk=before.pk).update(created_at=timezone.now() - timedelta(seconds=61))
    Order.objects.filter(pk=elsewhere.pk).update(source=Order.Source.EXTERNAL)
    assert watch() == []


def test_tripped_halt_stays_until_a_person_clears_it_and_then_counts_anew(desk):
    declare(order_rate={"threshold": 2, "seconds": 60})
    orders(2)
    (made,) = watch()
    assert watch() == []
    resume(halt=made, reason="the loop is fixed", actor="sam")
    assert watch() == []
    orders(1)
    assert watch() == []
    orders(1)
    assert len(watch()) == 1


def test_cancel_all_that_a_trigger_tripped_cancels_what_works(desk):
    declare(order_rate={"threshold": 2, "seconds": 60, "level": "cancel_all"})
    waiting = orders(2)
    tasks.watch_halts()
    for order in waiting:
        order.refresh_from_db()
        assert order.status == OrdStatus.CANCELED


def test_error_rate_halts_the_account_whose_broker_refuses_or_does_not_answer(desk):
    declare(error_rate={"threshold": 3, "seconds": 60, "level": "freeze"})
    first, second, third = (submit(broker_name="alpaca") for _ in range(3))
    other = submit(broker_name="alpaca_margin")
    refused(first)
    refused(second)
    refused(third, kind="cancel")
    refused(other)
    assert watch() == []
    OrderRequest.objects.filter(order=third).update(kind="new", state=RequestState.UNKNOWN, sent_at=timezone.now())
    watch()
    assert tripped() == [("error_rate", "account", "alpaca", "freeze")]


def test_order_cancelled_before_it_was_sent_is_no_error_of_its_broker(desk):
    declare(error_rate={"threshold": 1, "seconds": 60})
    (order,) = orders(1)
    OrderRequest.objects.filter(order=order).update(state="refused", answered_at=timezone.now())
    assert watch() == []


def test_breaks_halt_their_account_and_those_a_person_has_seen_do_not_again(desk):
    declare(reconciliation_breaks={"threshold": 2, "level": "reduce_only"})
    broken("alpaca", "cash")
    broken("alpaca_margin", "cash")
    assert watch() == []
    broken("alpaca", "IBM")
    (made,) = watch()
    assert tripped() == [("reconciliation_breaks", "account", "alpaca", "reduce_only")]
    resume(halt=made, reason="known", actor="sam")
    broken("alpaca", "BAC")
    assert watch() == []
    broken("alpaca", "XYZ")
    assert len(watch()) == 1


def test_halt_of_a_person_on_the_same_level_is_not_tripped_again(desk):
    declare(order_rate={"threshold": 1, "seconds": 60, "level": "freeze"})
    orders(1)
    halt(scope=Scope.FIRM, reason="mine", actor="rita")
    assert watch() == []


@pytest.mark.parametrize(
    ("section", "place"),
    [
        ({"order_rate": {"threshold": 0, "seconds": 10}}, ("order_rate", "threshold")),
        ({"order_rate": {"threshold": 5}}, ("order_rate", "seconds")),
        ({"order_rate": {"threshold": 5, "seconds": 3601}}, ("order_rate", "seconds")),
        ({"error_rate": {"threshold": 5, "seconds": 5, "level": "reject"}}, ("error_rate", "level")),
        ({"moon": {}}, ("moon",)),
    ],
)
def test_section_that_could_not_be_measured_is_refused_with_its_place(section, place):
    with pytest.raises(ValidationError) as refusal:
        sections()["halt_triggers"].schema.model_validate(section)
    assert place in {finding["loc"] for finding in refusal.value.errors()}
