"""Cancels and replaces as asked for: what is sent, what is settled here and now, and what is refused."""

from decimal import Decimal

import pytest
from django.utils import timezone

from brokers.models import BrokerAccount
from orders import wakeups
from orders.changes import ReplaceDenied, parse_changes, request_cancel, request_replace
from orders.models import Order, OrderRequest
from risk.halts import halt
from risk.limits import LimitValue, set_limits
from risk.models import Control, ExposureTotal
from tests.orders.desk import Counterparty, sent, submit
from tests.orders.invariants import assert_books_balance
from tradingdesk.audit.models import AuditEvent
from tradingdesk.errors import Conflict, InvalidInput
from tradingdesk.fix import ExecType, OrdStatus, RequestKind, RequestState

pytestmark = pytest.mark.django_db


@pytest.fixture
def broker(desk, wakings):
    """The broker's side of a working limit order to buy 100 IBM at 182.40."""
    order = submit(client_order_id="X", broker_name="alpaca")
    sent(order)
    counterparty = Counterparty(order)
    counterparty.acknowledge()
    return counterparty


def replace(order: Order, **changes) -> OrderRequest:
    return request_replace(order=order, changes=parse_changes(changes), actor="ann")


def last_event(order: Order) -> tuple:
    return (
        AuditEvent.objects.filter(client_order_id=order.client_order_id).values_list("kind", "actor", "reason").first()
    )


def test_cancel_goes_to_the_outbox_and_the_order_works_on(broker, wakings, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        request = request_cancel(order=broker.order, actor="ann", reason="changed my mind")

    assert (request.kind, request.state) == (RequestKind.CANCEL, RequestState.QUEUED)
    assert (request.client_order_id, request.orig_client_order_id) == ("X-C1", "X")
    assert (broker.order.status, broker.order.reserved_qty) == ("new", 100)
    assert wakings.of(wakeups.SEND_REQUEST) == [(request.pk, "broker.alpaca")]
    assert last_event(broker.order) == ("order.cancel_requested", "ann", "changed my mind")
    assert_books_balance()


def test_second_cancel_while_one_is_on_its_way_is_that_one(broker):
    first = request_cancel(order=broker.order, actor="ann")

    assert request_cancel(order=broker.order, actor="bob") == first
    assert OrderRequest.objects.filter(kind=RequestKind.CANCEL).count() == 1


def test_cancel_after_a_refused_one_has_an_id_of_its_own(broker):
    broker.refuse(request_cancel(order=broker.order, actor="ann"))

    assert request_cancel(order=broker.order, actor="ann").client_order_id == "X-C2"


def test_order_that_was_never_sent_is_cancelled_here_and_now(desk, wakings, django_capture_on_commit_callbacks):
    order = submit(client_order_id="X")

    with django_capture_on_commit_callbacks(execute=True):
        assert request_cancel(order=order, actor="ann") is None

    order.refresh_from_db()
    request = order.requests.get()
    assert (order.status, order.sent_at, order.reserved_qty) == ("canceled", None, 0)
    assert (request.state, request.text) == (RequestState.REFUSED, "cancelled before it was sent")
    assert wakings.sent == []
    assert last_event(order)[:2] == ("order.cancelled", "ann")
    assert_books_balance()


def test_deferred_order_is_cancelled_before_it_is_routed(desk):
    order = submit(defer=True)

    assert request_cancel(order=order, actor="ann") is None

    order.refresh_from_db()
    assert (order.status, order.requests.count()) == ("canceled", 0)
    assert_books_balance()


def test_order_that_may_have_been_sent_is_not_cancelled_here(desk):
    order = submit()
    sent(order)

    assert request_cancel(order=order, actor="ann").kind == RequestKind.CANCEL

    order.refresh_from_db()
    assert (order.status, order.reserved_qty) == ("pending", 100)


@pytest.mark.parametrize("ending", [ExecType.CANCELED, ExecType.EXPIRED, ExecType.REJECTED])
def test_closed_order_cannot_be_cancelled_or_replaced(broker, ending):
    broker.tell(ending, status=OrdStatus(ending))
    requests = OrderRequest.objects.count()

    with pytest.raises(Conflict) as cancel:
        request_cancel(order=broker.order, actor="ann")
    with pytest.raises(Conflict) as change:
        replace(broker.order, order_qty="150")

    assert (cancel.value.code, change.value.code) == ("ORDER_CLOSED", "ORDER_CLOSED")
    assert OrderRequest.objects.count() == requests


def test_cancel_passes_whatever_the_gate_would_say(broker):
    halt(scope="firm", reason="drill", actor="ann")
    set_limits([LimitValue(Control.PORTFOLIO_RISK_LIMIT, None)], actor="ann", reason="mistake")

    assert request_cancel(order=broker.order, actor="ann").state == RequestState.QUEUED


def test_replace_reserves_the_worse_of_old_and_new_until_it_is_answered(broker):
    request = replace(broker.order, order_qty="150", price="182.30")

    order = broker.order
    assert (request.client_order_id, request.order_qty, request.price) == ("X-R1", 150, Decimal("182.30"))
    assert (order.order_qty, order.price, order.status) == (100, Decimal("182.40"), "new")
    assert (order.reserved_qty, order.reserved_notional) == (150, Decimal("27360"))
    assert order.risk_decisions.filter(about=RequestKind.REPLACE).get().allowed
    assert_books_balance()


def test_replace_to_less_keeps_the_reservation_until_it_is_answered(broker):
    request = replace(broker.order, order_qty="40")
    before = broker.order.reserved_qty

    broker.tell(ExecType.REPLACED, client_order_id=request.client_order_id, order_qty=40)

    assert (before, broker.order.order_qty, broker.order.reserved_qty) == (100, 40, 40)
    assert_books_balance()


def test_trade_of_a_replacement_that_was_not_told_yet_makes_the_order_what_it_asked(broker):
    request = replace(broker.order, order_qty="140", price="182.30")

    broker.fill("e1", 140, 182, broker_order_id="B-R1", client_order_id=request.client_order_id)
    broker.tell(ExecType.REPLACED, seconds=1, broker_order_id="B-R1", client_order_id=request.client_order_id)

    order = broker.order
    assert (order.status, order.order_qty, order.price) == ("filled", 140, Decimal("182.30"))
    assert (order.broker_order_id, order.reserved_qty) == ("B-R1", 0)
    assert order.requests.get(pk=request.pk).state == RequestState.ACCEPTED
    assert order.messages.filter(kind=ExecType.REPLACED).count() == 1
    assert_books_balance()


def test_late_trade_of_an_earlier_replacement_does_not_bring_its_values_back(broker):
    first = replace(broker.order, order_qty="140")
    broker.tell(ExecType.REPLACED, seconds=5, broker_order_id="B-R1", client_order_id=first.client_order_id)
    second = replace(broker.order, order_qty="200")
    broker.tell(ExecType.REPLACED, seconds=9, broker_order_id="B-R2", client_order_id=second.client_order_id)

    broker.fill("e1", 30, 182, seconds=7, broker_order_id="B-R1", client_order_id=first.client_order_id)

    order = broker.order
    assert (order.broker_order_id, order.order_qty, order.cum_qty) == ("B-R2", 200, 30)
    assert_books_balance()


def test_replace_after_a_part_traded_reserves_what_is_left(broker):
    broker.fill("e1", 60, 182)

    replace(broker.order, order_qty="150")

    assert (broker.order.reserved_qty, ExposureTotal.objects.get(key="2:alpaca:IBM").open_buy_qty) == (90, 90)
    assert_books_balance()


def test_replace_that_risk_denies_leaves_the_order_as_it_was(broker):
    before = broker.order

    with pytest.raises(ReplaceDenied) as refusal:
        replace(before, order_qty="1001")

    order = broker.order
    assert (refusal.value.code, refusal.value.http_status) == ("QUANTITY_EXCEEDS_MAXIMUM", 422)
    assert (order.order_qty, order.reserved_qty, order.status) == (100, 100, "new")
    assert not order.requests.filter(kind=RequestKind.REPLACE).exists()
    assert not order.risk_decisions.filter(about=RequestKind.REPLACE).get().allowed
    assert_books_balance()


def test_replace_to_more_for_less_is_judged_by_what_it_may_hold_until_it_is_answered(broker):
    """It asks for 18,240 as before; but how much will have traded at 182.40 by then is not known."""
    set_limits([LimitValue(Control.PORTFOLIO_RISK_LIMIT, Decimal(20_000))], actor="ann", reason="test")

    with pytest.raises(ReplaceDenied) as refusal:
        replace(broker.order, order_qty="150", price="121.60")

    denials = [(one["code"], one["found"]) for one in refusal.value.denials]
    assert denials == [("GROSS_EXPOSURE_EXCEEDS_LIMIT", "27360")]
    assert broker.order.reserved_notional == 18_240
    assert_books_balance()


def test_halt_denies_a_replace(broker):
    halt(scope="symbol", scope_key="IBM", reason="news", actor="ann")

    with pytest.raises(ReplaceDenied) as refusal:
        replace(broker.order, price="182.30")

    assert refusal.value.code == "TRADING_HALTED"


def test_order_the_broker_has_not_acknowledged_cannot_be_replaced(desk):
    order = submit()

    with pytest.raises(Conflict) as refusal:
        replace(order, order_qty="150")

    assert refusal.value.code == "NOT_ACKNOWLEDGED"
    assert_books_balance()


@pytest.mark.parametrize(
    "ask", [lambda order: replace(order, order_qty="150"), lambda order: request_cancel(order=order, actor="ann")]
)
def test_one_request_at_a_time_before_a_replace(broker, ask):
    ask(broker.order)

    with pytest.raises(Conflict) as refusal:
        replace(broker.order, order_qty="160")

    assert refusal.value.code == "REQUEST_PENDING"
    assert_books_balance()


@pytest.mark.parametrize("pending", [ExecType.PENDING_CANCEL, ExecType.PENDING_REPLACE])
def test_order_that_is_pending_at_the_broker_cannot_be_replaced(broker, pending):
    broker.tell(pending, status=OrdStatus(pending))

    with pytest.raises(Conflict):
        replace(broker.order, order_qty="160")


@pytest.mark.parametrize("qty", ["60", "59"])
def test_quantity_that_has_traded_already_cannot_be_asked_for(broker, qty):
    broker.fill("e1", 60, 182)

    with pytest.raises(InvalidInput) as refusal:
        replace(broker.order, order_qty=qty)

    assert (refusal.value.code, refusal.value.field) == ("QUANTITY_BELOW_TRADED", "order_qty")
    assert not OrderRequest.objects.filter(kind=RequestKind.REPLACE).exists()


def test_field_that_does_not_go_with_the_order_is_refused_by_name(broker):
    with pytest.raises(InvalidInput) as refusal:
        replace(broker.order, stop_px="180")

    assert (refusal.value.code, refusal.value.field) == ("FIELD_NOT_ALLOWED", "stop_px")


def test_order_by_notional_cannot_be_replaced(desk):
    order = submit(ord_type="market", order_qty=None, price=None, notional="1000")
    Counterparty(order).acknowledge()

    with pytest.raises(Conflict) as refusal:
        replace(order, order_qty="10")

    assert refusal.value.code == "NOT_REPLACEABLE"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "NOTHING_TO_REPLACE"),
        ({"order_qty": None}, "NOTHING_TO_REPLACE"),
        ({"symbol": "BAC"}, "UNKNOWN_FIELD"),
        ({"order_qty": "-1"}, "NOT_POSITIVE"),
        ({"order_qty": "NaN"}, "INVALID_NUMBER"),
        ({"order_qty": 1.5}, "INVALID_NUMBER"),
        ({"price": "1.0000000001"}, "TOO_PRECISE"),
        ([], "INVALID_BODY"),
    ],
)
def test_body_of_a_replace_is_checked(body, code):
    with pytest.raises(InvalidInput) as refusal:
        parse_changes(body)

    assert refusal.value.code == code


def test_buying_power_of_a_replace_is_counted_until_the_brokers_figure_knows_it(desk):
    broker = Counterparty(submit(broker_name="alpaca"))  # takes 18,240
    broker.acknowledge()
    figure = {"last_updated": timezone.now(), "buying_power": Decimal(20_000)}
    BrokerAccount.objects.filter(pk="alpaca").update(**figure)
    request = request_replace(order=broker.order, changes=parse_changes({"order_qty": "150"}), actor="ann")

    while_asked = submit(broker_name="alpaca")
    broker.tell(ExecType.REPLACED, status=OrdStatus.NEW, order_qty=150, client_order_id=request.client_order_id)
    once_answered = submit(broker_name="alpaca")
    BrokerAccount.objects.filter(pk="alpaca").update(last_updated=timezone.now())
    once_known = submit(broker_name="alpaca")

    assert request.buying_power_held == 9_120
    for order in (while_asked, once_answered):
        assert [(d["code"], d["limit"]) for d in order.denials] == [("INSUFFICIENT_BUYING_POWER", "10880")]
    assert once_known.status == "pending"


def test_replace_that_is_refused_gives_its_buying_power_back(desk):
    broker = Counterparty(submit(broker_name="alpaca"))
    broker.acknowledge()
    BrokerAccount.objects.filter(pk="alpaca").update(last_updated=timezone.now(), buying_power=20_000)
    request = request_replace(order=broker.order, changes=parse_changes({"order_qty": "150"}), actor="ann")

    broker.refuse(request)

    assert submit(broker_name="alpaca").status == "pending"
