"""What halts do to orders: cancels counted apart, asked again until nothing works, and nothing outside their scope."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from orders import halting, sending
from orders.halting import CancelCounts, carry_out_all, counts_by_broker, counts_of, stop
from orders.models import HaltCancel, Order, OrderRequest
from risk.halts import halt, resume
from risk.models import Halt, Level, Scope
from tests.orders.desk import Counterparty, roomy_desk, submit
from tradingdesk.fix import ExecType, OrdStatus, RequestKind, RequestState

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("wakings")]


@pytest.fixture
def desk() -> None:
    roomy_desk()


def working(**body) -> tuple[Order, Counterparty]:
    """An order that its broker has acknowledged."""
    order = submit(**body)
    order.requests.update(state=RequestState.ACCEPTED, sent_at=timezone.now())
    broker = Counterparty(order)
    return broker.acknowledge(), broker


def dispatched(order: Order) -> None:
    """The worker has told the broker of the order's cancel."""
    OrderRequest.objects.filter(order=order, kind=RequestKind.CANCEL).update(
        state=RequestState.ACCEPTED, sent_at=timezone.now()
    )


def cancels(order: Order) -> int:
    return order.requests.filter(kind=RequestKind.CANCEL).count()


def stopped(level: str = Level.CANCEL_ALL, **about) -> Halt:
    return stop(**{"scope": Scope.FIRM, "level": level, "reason": "drill", "actor": "rita"} | about)


def run(name: str, *arguments: str) -> str:
    out = StringIO()
    call_command(name, *arguments, stdout=out, stderr=out)
    return out.getvalue()


def test_cancels_are_counted_apart_as_they_go_out_and_as_brokers_end_the_orders(desk):
    unsent = submit(broker_name="alpaca")
    (first, broker), (second, _) = working(broker_name="alpaca"), working(broker_name="alpaca_margin")
    made = stopped()
    assert counts_of(made) == CancelCounts(orders=3, unsent=1, waiting=2, still_open=2)
    dispatched(first)
    assert counts_of(made) == CancelCounts(orders=3, unsent=1, waiting=1, dispatched=1, still_open=2)
    broker.tell(ExecType.CANCELED, status=OrdStatus.CANCELED)
    assert counts_of(made) == CancelCounts(orders=3, unsent=1, waiting=1, dispatched=1, acknowledged=1, still_open=1)
    assert counts_by_broker(made)["alpaca_margin"] == CancelCounts(orders=1, waiting=1, still_open=1)
    unsent.refresh_from_db()
    assert (unsent.status, second.status) == (OrdStatus.CANCELED, OrdStatus.NEW)


@pytest.mark.parametrize("level", [Level.FREEZE, Level.REDUCE_ONLY, Level.DRAIN])
def test_other_levels_leave_working_orders_alone(desk, level):
    order, _ = working()
    stopped(level)
    assert carry_out_all() == 0
    assert cancels(order) == 0


def test_halt_cancels_within_its_scope_only(desk):
    here, _ = working(broker_name="alpaca")
    there, _ = working(broker_name="alpaca_margin")
    other, _ = working(broker_name="alpaca_margin", symbol="BAC")
    stopped(scope=Scope.ACCOUNT, scope_key="alpaca")
    assert [cancels(one) for one in (here, there, other)] == [1, 0, 0]
    stopped(scope=Scope.SYMBOL, scope_key="BAC")
    assert [cancels(one) for one in (here, there, other)] == [1, 0, 1]


def test_order_that_shows_up_after_the_halt_is_cancelled_by_the_next_turn(desk):
    order, _ = working()
    made = halt(scope=Scope.FIRM, level=Level.CANCEL_ALL, reason="drill", actor="rita")
    assert cancels(order) == 0
    assert carry_out_all() == 1
    carry_out_all()
    assert (cancels(order), counts_of(made).orders) == (1, 1)


def test_cancel_that_the_broker_refused_is_asked_for_again_after_a_while(desk):
    order, broker = working()
    made = stopped()
    broker.refuse(order.requests.get(kind=RequestKind.CANCEL), OrdStatus.NEW, text="not now")
    carry_out_all()
    assert cancels(order) == 1
    HaltCancel.objects.update(asked_at=timezone.now() - halting.ASK_AGAIN_AFTER - timedelta(seconds=1))
    carry_out_all()
    assert cancels(order) == 2
    assert HaltCancel.objects.get().times_asked == 2
    assert counts_of(made) == CancelCounts(orders=1, waiting=1, still_open=1)


def test_cleared_halt_asks_for_nothing_more(desk):
    made = stopped()
    resume(halt=made, reason="over", actor="sam")
    order, _ = working()
    assert carry_out_all() == 0
    assert cancels(order) == 0


def test_accepted_order_is_not_sent_while_it_would_open_and_goes_out_once_it_may(desk, gateway):
    order = submit()
    made = stopped(Level.REDUCE_ONLY)
    request = order.requests.get()
    sending.send_request(request.pk)
    assert gateway.calls == []
    resume(halt=made, reason="over", actor="sam")
    sending.send_request(request.pk)
    assert gateway.calls == ["submit"]


def test_draining_desk_sends_what_it_took_and_takes_nothing_new(desk, gateway):
    order = submit()
    stopped(Level.DRAIN)
    sending.send_request(order.requests.get().pk)
    assert gateway.calls == ["submit"]
    assert submit().status == OrdStatus.DENIED


def test_halt_trading_tells_cancels_apart_and_fails_while_orders_are_not_ended(desk):
    order, broker = working()
    with pytest.raises(CommandError, match="1 orders are not ended"):
        run("halt_trading", "--reason", "drill", "--level", "cancel_all", "--wait", "0.01")
    dispatched(order)
    broker.tell(ExecType.CANCELED, status=OrdStatus.CANCELED)
    said = run("halt_trading", "--reason", "drill", "--level", "cancel_all", "--wait", "5")
    assert "cancel all and stop" in said
    assert "dispatched: 1, acknowledged: 1, still open: 0" in said


def test_halt_trading_rejects_one_operation(desk):
    run("halt_trading", "--reason", "drill", "--level", "reject", "--operation", "market")
    assert submit(ord_type="market", price=None).denials[0]["code"] == "TRADING_HALTED"
    assert submit().status == OrdStatus.PENDING


@pytest.mark.parametrize(
    "arguments",
    [
        ("--level", "reject"),
        ("--operation", "market"),
        ("--cancel", "--level", "drain"),
        ("--level", "everything"),
    ],
)
def test_halt_trading_with_arguments_that_do_not_go_together_is_a_usage_error(desk, arguments):
    with pytest.raises(CommandError) as failure:
        run("halt_trading", "--reason", "drill", *arguments)
    assert failure.value.returncode in (1, 2) if "everything" in arguments else failure.value.returncode == 2
    assert not Halt.objects.exists()


def test_resume_trading_clears_one_level_or_all_of_a_scope(desk):
    run("halt_trading", "--reason", "drill")
    run("halt_trading", "--reason", "drill", "--level", "reduce_only")
    run("halt_trading", "--reason", "news", "--level", "drain")
    said = run("resume_trading", "--reason", "over", "--level", "drain")
    assert "still halted: the whole desk (drill; nothing that increases exposure)" in said
    run("resume_trading", "--reason", "over")
    assert not Halt.objects.filter(cleared_at=None).exists()
