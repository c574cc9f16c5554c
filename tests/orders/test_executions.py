"""Reports become facts, and facts move orders, positions and exposure."""

from decimal import Decimal

import pytest

from brokers.models import BrokerAccount
from orders.changes import parse_changes, request_cancel, request_replace
from orders.models import BrokerMessage, Execution, Order, OrderRequest, Position, TradeLog
from risk.models import ExposureTotal
from tests.orders.desk import Counterparty, roomy_desk, sent, submit
from tests.orders.facts import at
from tests.orders.invariants import assert_books_balance
from tradingdesk.audit.models import AuditEvent
from tradingdesk.fix import ExecType, OrdStatus, RequestKind, RequestState, Side

pytestmark = pytest.mark.django_db


@pytest.fixture
def broker():
    """The broker's side of a limit order to buy 100 IBM at 182.40 that is on its way."""
    roomy_desk("alpaca")
    order = submit(client_order_id="X", strategy="trend")
    sent(order)
    return Counterparty(order)


def exposure(symbol: str = "IBM") -> ExposureTotal:
    return ExposureTotal.objects.get(key=f"2:alpaca:{symbol}")


def kinds() -> list[str]:
    """The trail about the order since it was accepted."""
    events = AuditEvent.objects.filter(client_order_id="X").order_by("id").values_list("kind", flat=True)
    return [kind for kind in events if kind not in ("order.new", "order.routed")]


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


def test_bust_reopens_a_filled_order_and_takes_its_reservation_again(broker):
    broker.acknowledge()
    broker.fill("e1", 60, 182)
    broker.fill("e2", 40, 183)

    broker.bust("e3", "e2")

    order = broker.order
    assert (order.status, order.cum_qty, order.leaves_qty, order.avg_px) == ("partially_filled", 60, 40, 182)
    assert (order.closed_at, order.reserved_qty) == (None, 40)
    assert (exposure().position_qty, exposure().open_buy_qty) == (60, 40)
    assert kinds()[-1] == "execution.bust"
    assert_books_balance()


def test_bust_of_the_only_trade_leaves_no_position_and_no_trade_log(broker):
    broker.acknowledge()
    broker.fill("e1", 60, 182)

    broker.bust("e2", "e1")

    assert (broker.order.status, broker.order.cum_qty, broker.order.avg_px) == ("new", 0, None)
    assert (Position.objects.count(), TradeLog.objects.count(), exposure().position_qty) == (0, 0, 0)
    assert_books_balance()


def test_bust_that_comes_before_its_trade_voids_it(broker):
    broker.acknowledge()
    broker.bust("e2", "e1")
    broker.fill("e1", 60, 182)

    assert (broker.order.status, broker.order.cum_qty, Position.objects.count()) == ("new", 0, 0)
    assert_books_balance()


def test_correction_moves_order_position_and_trade_log(broker):
    broker.acknowledge()
    broker.fill("e1", 60, 182)

    broker.correct("e2", "e1", 50, 181)

    position = Position.objects.get()
    assert (broker.order.cum_qty, broker.order.leaves_qty, broker.order.avg_px) == (50, 50, 181)
    assert (position.qty, position.avg_px) == (50, 181)
    assert (position.trade_log.entry_qty, position.trade_log.entry_px) == (50, 181)
    assert kinds()[-1] == "execution.correct"
    assert_books_balance()


def test_correction_of_an_entry_after_its_exit_mends_the_profit_and_keeps_the_direction(broker):
    broker.acknowledge()
    broker.fill("e1", 100, 182)
    seller = Counterparty(submit(side="sell", price="184", client_order_id="S"))
    seller.fill("e2", 100, 184, seconds=10)

    broker.correct("e3", "e1", 100, 183, seconds=20)

    log = TradeLog.objects.get()
    assert (log.direction, log.entry_px, log.exit_px, log.gross_pnl) == ("long", 183, 184, 100)
    assert (log.opened_at, log.closed_at) == (at(2), at(10))
    assert_books_balance()


def test_bust_of_an_entry_after_its_exit_leaves_the_exit_as_a_short(broker):
    broker.acknowledge()
    broker.fill("e1", 100, 182)
    Counterparty(submit(side="sell", price="184", client_order_id="S")).fill("e2", 100, 184, seconds=10)

    broker.bust("e3", "e1", seconds=20)

    position = Position.objects.get()
    assert (position.qty, position.trade_log.direction, position.closed_at) == (-100, "short", None)
    assert exposure().position_qty == -100
    assert_books_balance()


def test_trade_that_crosses_zero_closes_one_position_and_opens_the_next(broker):
    broker.acknowledge()
    broker.fill("e1", 100, 182)
    seller = Counterparty(submit(side="sell", order_qty="250", price="184", client_order_id="S", strategy="fade"))

    seller.fill("e2", 250, 185, seconds=10, commission=Decimal("1.5"))

    closed, opened = Position.objects.order_by("id")
    assert (closed.qty, closed.realized_pnl, closed.closed_at, closed.commission) == (0, 300, at(10), Decimal("1.5"))
    assert (opened.qty, opened.avg_px, opened.closed_at, opened.commission) == (-150, 185, None, 0)
    assert [log.strategy for log in TradeLog.objects.order_by("id")] == ["trend", "fade"]
    assert_books_balance()


def test_late_earlier_trade_ends_in_the_books_of_the_trades_in_turn(broker):
    broker.acknowledge()
    seller = Counterparty(submit(side="sell", price="184", client_order_id="S"))
    seller.fill("e2", 40, 184, seconds=10)
    assert TradeLog.objects.get().direction == "short"

    broker.fill("e1", 100, 182, seconds=5)

    log = TradeLog.objects.get()
    assert (log.direction, log.order_id, log.gross_pnl) == ("long", broker.pk, 80)
    assert_books_balance()


def test_position_that_went_flat_stays_and_the_next_trade_opens_another(broker):
    broker.acknowledge()
    broker.fill("e1", 50, 182)
    seller = Counterparty(submit(side="sell", order_qty="50", price="183", client_order_id="S"))
    seller.fill("e2", 50, 183)

    broker.fill("e3", 50, 184, seconds=9)

    assert list(Position.objects.order_by("id").values_list("qty", "realized_pnl")) == [(0, 50), (50, 0)]
    assert_books_balance()


def test_pending_cancel_and_its_refusal_come_from_the_broker_and_leave_the_order_working(broker):
    broker.acknowledge()
    broker.tell(ExecType.PENDING_CANCEL, status=OrdStatus.PENDING_CANCEL)
    pending = broker.order.status
    broker.fill("e1", 10, 182, status=OrdStatus.PENDING_CANCEL)
    still_pending = broker.order.status

    broker.refuse(None, OrdStatus.PARTIALLY_FILLED, text="too late")

    assert (pending, still_pending, broker.order.status) == ("pending_cancel", "pending_cancel", "partially_filled")
    assert exposure().open_buy_qty == 90
    assert kinds()[-1] == "order.cancel_rejected"
    assert BrokerMessage.objects.order_by("id").last().kind == "cancel_rejected"
    assert_books_balance()


def test_pending_cancel_as_the_first_word_answers_both_requests(broker):
    request = request_cancel(order=broker.order, actor="ann")

    broker.tell(ExecType.PENDING_CANCEL, client_order_id=request.client_order_id)

    order = broker.order
    assert list(order.requests.values_list("state", flat=True)) == [RequestState.ACCEPTED, RequestState.ACCEPTED]
    assert (order.status, order.sent_at, order.broker_order_id) == ("pending_cancel", at(0), "B-X")


def test_refusal_of_a_replace_that_was_pending_goes_back_to_the_id_before_it(broker):
    broker.acknowledge()
    request = request_replace(order=broker.order, changes=parse_changes({"order_qty": "150"}), actor="ann")
    broker.tell(ExecType.PENDING_REPLACE, client_order_id=request.client_order_id)

    broker.refuse(request, OrdStatus.NEW, text="not now")

    request.refresh_from_db()
    following = request_replace(order=broker.order, changes=parse_changes({"order_qty": "160"}), actor="ann")
    assert (request.state, request.text, broker.order.status) == (RequestState.REFUSED, "not now", "new")
    assert (following.client_order_id, following.orig_client_order_id) == ("X-R2", "X")
    assert_books_balance()


def test_same_refusal_again_leaves_no_row(broker):
    broker.acknowledge()
    request = request_cancel(order=broker.order, actor="ann")
    broker.refuse(request, OrdStatus.NEW)
    messages, events = BrokerMessage.objects.count(), AuditEvent.objects.count()

    broker.refuse(request, OrdStatus.NEW)

    assert (BrokerMessage.objects.count(), AuditEvent.objects.count()) == (messages, events)


@pytest.mark.parametrize("exec_type", [ExecType.REPLACED, ExecType.RESTATED])
def test_unsolicited_change_of_the_quantity_moves_the_reservation_too(broker, exec_type):
    broker.acknowledge()
    broker.fill("e1", 10, 182)

    broker.tell(exec_type, status=OrdStatus.PARTIALLY_FILLED, order_qty=150)

    order = broker.order
    assert (order.order_qty, order.leaves_qty, order.reserved_qty) == (150, 140, 140)
    assert exposure().open_buy_qty == 140
    assert_books_balance()


@pytest.mark.parametrize("later", [ExecType.REPLACED, ExecType.RESTATED])
def test_change_that_a_later_one_superseded_does_not_come_back(broker, later):
    broker.acknowledge()
    first = broker.report(ExecType.REPLACED, order_qty=80, client_order_id="Y")
    broker.hear(first)
    late = broker.report(ExecType.REPLACED, order_qty=70, client_order_id="Z")
    broker.tell(later, order_qty=60, client_order_id="W")
    messages = BrokerMessage.objects.count()

    for old in (first, late):
        broker.hear(old)

    assert (broker.order.order_qty, broker.order.reserved_qty) == (60, 60)
    assert BrokerMessage.objects.count() == messages
    assert_books_balance()


def test_restatement_while_a_replace_is_on_its_way_reserves_the_worse(broker):
    broker.acknowledge()
    request_replace(order=broker.order, changes=parse_changes({"order_qty": "30"}), actor="ann")

    broker.tell(ExecType.RESTATED, order_qty=180)
    wider = broker.order.reserved_qty
    broker.tell(ExecType.RESTATED, order_qty=20)

    assert (wider, broker.order.leaves_qty, broker.order.reserved_qty) == (180, 20, 180)
    assert_books_balance()


def test_day_order_done_for_the_day_reserves_nothing_and_a_gtc_order_does():
    roomy_desk("alpaca")
    day, gtc = (Counterparty(submit(time_in_force=tif, client_order_id=tif)) for tif in ("day", "gtc"))
    for broker in (day, gtc):
        broker.acknowledge()
        broker.fill(f"e-{broker.client_order_id}", 30, 182)
        broker.tell(ExecType.DONE_FOR_DAY, status=OrdStatus.DONE_FOR_DAY)

    assert (day.order.status, day.order.leaves_qty, day.order.reserved_qty) == ("done_for_day", 0, 0)
    assert (gtc.order.status, gtc.order.leaves_qty, gtc.order.reserved_qty) == ("done_for_day", 70, 70)
    assert_books_balance()


@pytest.mark.parametrize("exec_type", [ExecType.RESTATED, ExecType.NEW, ExecType.ORDER_STATUS])
def test_order_that_works_again_after_the_day_was_done_takes_its_reservation_again(broker, exec_type):
    broker.acknowledge()
    broker.fill("e1", 30, 182)
    broker.tell(ExecType.DONE_FOR_DAY, status=OrdStatus.DONE_FOR_DAY)

    broker.tell(exec_type, status=OrdStatus.PARTIALLY_FILLED)

    assert (broker.order.status, broker.order.leaves_qty, broker.order.reserved_qty) == ("partially_filled", 70, 70)
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


def test_answered_cancel_request_is_told_by_its_own_id_only(broker):
    broker.acknowledge()
    request = OrderRequest.objects.create(
        order=broker.order,
        broker_name="alpaca",
        kind=RequestKind.CANCEL,
        client_order_id="Y",
        state=RequestState.SENDING,
    )
    broker.fill("e1", 10, 182)
    request.refresh_from_db()
    assert request.state == RequestState.SENDING

    broker.tell(ExecType.PENDING_CANCEL, status=OrdStatus.PENDING_CANCEL, client_order_id="Y")

    request.refresh_from_db()
    assert request.state == RequestState.ACCEPTED
