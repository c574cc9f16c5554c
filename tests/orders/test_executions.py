"""Reports become facts, and facts move orders, positions and exposure."""

from decimal import Decimal

import pytest

from brokers.models import BrokerAccount
from orders.models import BrokerMessage, Execution, Order, OrderRequest, Position
from tests.orders.books import exposure, kinds
from tests.orders.desk import Counterparty, roomy_desk, submit
from tests.orders.facts import at
from tests.orders.invariants import assert_books_balance
from tradingdesk.audit.models import AuditEvent
from tradingdesk.fix import ExecType, OrdStatus, RequestState, Side

pytestmark = pytest.mark.django_db


def test_acknowledgement_makes_the_order_new_and_answers_its_request(broker):
    order = broker.acknowledge()

    request = order.requests.get()
    assert (order.status, order.broker_order_id, order.working_at) == ("new", "B-X", at(1))
    assert (request.state, request.broker_order_id) == (RequestState.ACCEPTED, "B-X")
    assert order.acknowledged_at is not None
    assert (order.sent_at, order.outcome_unknown_since) == (at(0), None)
    assert kinds() == ["order.accepted"]
    assert_books_balance()


def test_acknowledgement_settles_an_unknown_outcome(broker):
    OrderRequest.objects.update(state=RequestState.UNKNOWN)
    Order.objects.update(outcome_unknown_since=at(0))

    order = broker.acknowledge()

    assert (order.status, order.outcome_unknown) == ("new", False)
    assert order.requests.get().state == RequestState.ACCEPTED


def test_same_acknowledgement_again_leaves_no_row(broker):
    first = broker.report(ExecType.NEW, status=OrdStatus.NEW)
    broker.hear(first)
    messages, events = BrokerMessage.objects.count(), AuditEvent.objects.count()

    broker.hear(first)

    assert (BrokerMessage.objects.count(), AuditEvent.objects.count()) == (messages, events)


def test_fill_moves_order_position_trade_log_and_exposure(broker):
    broker.acknowledge()

    execution = broker.fill("e1", 40, "182.30", commission=Decimal("0.35"), status=OrdStatus.PARTIALLY_FILLED)

    order, position = broker.order, Position.objects.get()
    assert (order.status, order.cum_qty, order.leaves_qty, order.avg_px) == (
        "partially_filled",
        40,
        60,
        Decimal("182.30"),
    )
    assert (execution.exec_id, execution.order_id, execution.last_qty, execution.side) == ("e1", order.pk, 40, Side.BUY)
    assert (position.qty, position.avg_px, position.commission) == (40, Decimal("182.30"), Decimal("0.35"))
    assert (position.trade_log.order_id, position.trade_log.strategy) == (order.pk, "trend")
    row = exposure()
    assert (row.position_qty, row.open_buy_qty, row.open_buy_notional) == (40, 60, Decimal("10944.00"))
    assert (row.mark_px, row.gross) == (Decimal("182.30"), Decimal("18236.00"))
    assert kinds() == ["order.accepted", "execution"]
    assert_books_balance()


def test_fill_before_the_acknowledgement_is_booked_and_proves_the_order_was_taken(broker):
    broker.fill("e1", 40, "182.30", seconds=5)
    after_fill = broker.order
    broker.acknowledge(seconds=4)

    assert (after_fill.status, after_fill.broker_order_id) == ("partially_filled", "B-X")
    assert after_fill.requests.get().state == RequestState.ACCEPTED
    assert (broker.order.status, broker.order.cum_qty) == ("partially_filled", 40)
    assert_books_balance()


def test_duplicate_exec_id_changes_nothing(broker):
    report = broker.report(ExecType.TRADE, exec_id="e1", last_qty=40, last_px=182)
    assert broker.hear(report) is not None
    events = AuditEvent.objects.count()

    assert broker.hear(report) is None

    assert (broker.order.cum_qty, Execution.objects.count(), AuditEvent.objects.count()) == (40, 1, events)
    assert_books_balance()


def test_same_exec_id_at_two_accounts_is_two_facts():
    roomy_desk("alpaca", "alpaca_margin")
    for name in ("alpaca", "alpaca_margin"):
        assert Counterparty(submit(broker_name=name)).fill("e1", 10) is not None

    assert sorted(Execution.objects.values_list("account_id", flat=True)) == ["alpaca", "alpaca_margin"]
    assert_books_balance()


@pytest.mark.parametrize("exec_type", [ExecType.NEW, ExecType.TRADE, ExecType.CANCELED])
def test_report_about_no_order_of_ours_is_refused_and_leaves_nothing(broker, exec_type):
    rows = Execution.objects.count(), BrokerMessage.objects.count(), AuditEvent.objects.count()

    with pytest.raises(Order.DoesNotExist):
        broker.tell(
            exec_type, client_order_id="strange", broker_order_id="B-strange", exec_id="e9", last_qty=1, last_px=1
        )

    assert (Execution.objects.count(), BrokerMessage.objects.count(), AuditEvent.objects.count()) == rows


def test_report_of_another_account_does_not_reach_our_order_by_the_same_broker_id(broker):
    broker.acknowledge()
    other = BrokerAccount.objects.create(broker_name="alpaca_margin", adapter="alpaca")
    broker.account = other

    with pytest.raises(Order.DoesNotExist):
        broker.fill("e1", 1)

    assert broker.order.cum_qty == 0


def test_report_is_found_by_the_brokers_id_when_it_carries_no_client_id(broker):
    broker.acknowledge()

    broker.fill("e1", 100, "182.40", client_order_id="")

    assert broker.order.status == "filled"


def test_overfill_is_booked_as_it_was(broker):
    broker.acknowledge()

    broker.fill("e1", 130, "182.40")

    order = broker.order
    assert (order.status, order.cum_qty, order.leaves_qty, order.order_qty) == ("filled", 130, 0, 100)
    assert Position.objects.get().qty == 130
    assert (exposure().position_qty, exposure().open_buy_qty) == (130, 0)
    assert_books_balance()


def test_filled_order_reserves_nothing_and_is_closed(broker):
    broker.acknowledge()
    broker.fill("e1", 60, 182)
    broker.fill("e2", 40, 183)

    order = broker.order
    assert (order.status, order.avg_px, order.reserved_qty, order.reserved_notional) == (
        "filled",
        Decimal("182.4"),
        0,
        0,
    )
    assert order.closed_at is not None
    assert_books_balance()


def test_fill_after_a_cancel_is_booked_and_the_order_stays_canceled(broker):
    broker.acknowledge()
    broker.tell(ExecType.CANCELED, status=OrdStatus.CANCELED)
    assert exposure().open_buy_qty == 0

    broker.fill("e1", 30, "182.40")

    order = broker.order
    assert (order.status, order.cum_qty, order.leaves_qty) == ("canceled", 30, 0)
    assert (exposure().position_qty, exposure().open_buy_qty) == (30, 0)
    assert_books_balance()


def test_cancel_before_its_earlier_fill_ends_as_in_order(broker):
    broker.acknowledge()
    late = broker.report(ExecType.TRADE, exec_id="e1", last_qty=30, last_px=182)
    broker.tell(ExecType.CANCELED, status=OrdStatus.CANCELED)

    broker.hear(late)

    assert (broker.order.status, broker.order.cum_qty) == ("canceled", 30)
    assert_books_balance()


@pytest.mark.parametrize(
    ("exec_type", "status", "kind"),
    [
        (ExecType.CANCELED, "canceled", "order.cancelled"),
        (ExecType.EXPIRED, "expired", "order.expired"),
        (ExecType.REJECTED, "rejected", "order.rejected"),
    ],
)
def test_end_gives_the_reservation_back_and_keeps_the_brokers_words(broker, exec_type, status, kind):
    broker.acknowledge()
    broker.fill("e1", 25, 182)

    broker.tell(exec_type, status=OrdStatus(status), text="no more")

    order = broker.order
    assert (order.status, order.cum_qty, order.leaves_qty, order.text) == (status, 25, 0, "no more")
    assert (order.reserved_qty, exposure().open_buy_qty, exposure().open_buy_notional) == (0, 0, 0)
    assert exposure().gross == Decimal("4550")
    assert kinds()[-1] == kind
    assert_books_balance()


def test_rejection_as_the_first_word_refuses_the_request(broker):
    broker.tell(ExecType.REJECTED, status=OrdStatus.REJECTED, text="insufficient buying power")

    order = broker.order
    assert (order.status, order.text) == ("rejected", "insufficient buying power")
    assert order.requests.get().state == RequestState.REFUSED
    assert exposure().gross == 0
    assert_books_balance()


def test_notional_order_gets_its_quantity_when_it_is_filled():
    roomy_desk("alpaca")
    order = submit(ord_type="market", order_qty=None, price=None, notional="1000")
    broker = Counterparty(order)
    broker.acknowledge()
    assert (broker.order.order_qty, broker.order.leaves_qty) == (None, None)
    assert_books_balance()

    broker.fill("e1", "5", "182.46", status=OrdStatus.PARTIALLY_FILLED, cum_qty=5)
    assert broker.order.status == "partially_filled"
    broker.fill("e2", "0.480653294", "182.46", status=OrdStatus.FILLED, cum_qty=Decimal("5.480653294"))

    order = broker.order
    assert (order.status, order.order_qty, order.leaves_qty) == ("filled", Decimal("5.480653294"), 0)
    assert (order.reserved_qty, exposure().open_buy_notional) == (0, 0)
    assert_books_balance()


def test_sell_reserves_and_fills_on_its_own_side():
    roomy_desk("alpaca")
    broker = Counterparty(submit(side="sell", price="184"))
    broker.acknowledge()
    broker.fill("e1", 40, 185)

    row = exposure()
    assert (row.position_qty, row.open_sell_qty, row.open_buy_qty) == (-40, 60, 0)
    assert row.gross == Decimal(40 * 185 + 60 * 184)
    assert_books_balance()


def test_values_of_fifteen_digits_are_booked_exactly():
    roomy_desk("alpaca")
    broker = Counterparty(submit(order_qty="1000", price="182.40"))

    broker.fill("e1", Decimal("333.333333333"), Decimal("182.123456789"))
    broker.fill("e2", Decimal("666.666666667"), Decimal("182.123456789"))

    assert (broker.order.status, broker.order.avg_px) == ("filled", Decimal("182.123456789"))
    assert Position.objects.get().qty == 1000
    assert_books_balance()


def test_every_report_leaves_the_brokers_payload(broker):
    broker.acknowledge(raw={"id": "B-X", "status": "new"})
    broker.fill("e1", 1, 182, raw={"price": "182", "activity": "FILL"})

    assert BrokerMessage.objects.get().raw == {"id": "B-X", "status": "new"}
    assert Execution.objects.get().raw == {"price": "182", "activity": "FILL"}
