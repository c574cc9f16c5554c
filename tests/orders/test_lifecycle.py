"""The status fold, leaves and totals, value by value."""

from decimal import Decimal

import pytest

from orders import lifecycle
from tests.orders.facts import at, bust, cancel_rejected, correction, report, trade, unsaved_order
from tradingdesk.fix import ClosedAs, ExecType, OrdStatus, TimeInForce, WorkingAs

ACKNOWLEDGED = {"working_as": WorkingAs.NEW, "working_at": at(0)}


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        ({}, "pending"),
        ({"working_as": "new"}, "new"),
        ({"cum_qty": Decimal("0.000000001")}, "partially_filled"),
        ({"working_as": "new", "cum_qty": Decimal(9)}, "partially_filled"),
        ({"working_as": "new", "cum_qty": Decimal(10)}, "filled"),
        ({"working_as": "new", "cum_qty": Decimal(11)}, "filled"),
        ({"order_qty": None, "cum_qty": Decimal(11), "working_as": "new"}, "partially_filled"),
        ({"working_as": "pending_cancel", "cum_qty": Decimal(10)}, "pending_cancel"),
        ({"working_as": "pending_replace", "cum_qty": Decimal(3)}, "pending_replace"),
        ({"working_as": "done_for_day", "cum_qty": Decimal(3)}, "done_for_day"),
        ({"working_as": "suspended"}, "suspended"),
        ({"closed_as": "canceled", "working_as": "pending_cancel", "cum_qty": Decimal(10)}, "canceled"),
        ({"closed_as": "rejected"}, "rejected"),
        ({"closed_as": "expired", "cum_qty": Decimal(4)}, "expired"),
        ({"closed_as": "replaced"}, "replaced"),
        ({"closed_as": "denied"}, "denied"),
    ],
)
def test_status_follows_from_how_it_closed_then_works_then_traded(facts, status):
    assert lifecycle.status_of(unsaved_order(**facts)) == OrdStatus(status)


@pytest.mark.parametrize(
    ("facts", "leaves"),
    [
        ({}, 10),
        ({"cum_qty": Decimal("2.5")}, "7.5"),
        ({"cum_qty": Decimal(10)}, 0),
        ({"cum_qty": Decimal(12)}, 0),
        ({"working_as": "pending_cancel", "cum_qty": Decimal(4)}, 6),
        ({"closed_as": "canceled", "cum_qty": Decimal(4)}, 0),
        ({"working_as": "done_for_day", "cum_qty": Decimal(4)}, 0),
        ({"working_as": "done_for_day", "cum_qty": Decimal(4), "time_in_force": TimeInForce.GTC}, 6),
        ({"working_as": "suspended", "cum_qty": Decimal(4)}, 6),
        ({"order_qty": None, "closed_as": "canceled"}, 0),
    ],
)
def test_leaves_are_what_may_still_trade(facts, leaves):
    assert lifecycle.leaves_of(unsaved_order(**facts)) == Decimal(leaves)


def test_leaves_of_a_notional_order_are_not_known_before_its_quantity_is():
    assert lifecycle.leaves_of(unsaved_order(None, cum_qty=Decimal(2))) is None


def test_open_and_closed_statuses_split_all_statuses():
    assert frozenset(OrdStatus) == lifecycle.OPEN | lifecycle.CLOSED
    assert not lifecycle.OPEN & lifecycle.CLOSED
    assert lifecycle.OPEN - {OrdStatus.PENDING_CANCEL} == lifecycle.CANCELLABLE
    assert lifecycle.IN_FLIGHT <= lifecycle.CANCELLABLE


@pytest.mark.parametrize(
    ("exec_type", "working_as", "closed_as"),
    [
        (ExecType.PENDING_NEW, None, None),
        (ExecType.NEW, "new", None),
        (ExecType.TRADE, "new", None),
        (ExecType.TRADE_CORRECT, "new", None),
        (ExecType.TRADE_CANCEL, "new", None),
        (ExecType.PENDING_CANCEL, "pending_cancel", None),
        (ExecType.PENDING_REPLACE, "pending_replace", None),
        (ExecType.REPLACED, "new", None),
        (ExecType.RESTATED, "new", None),
        (ExecType.DONE_FOR_DAY, "done_for_day", None),
        (ExecType.SUSPENDED, "suspended", None),
        (ExecType.CANCELED, None, "canceled"),
        (ExecType.REJECTED, None, "rejected"),
        (ExecType.EXPIRED, None, "expired"),
    ],
)
def test_first_report_says_how_the_order_works_or_closed(exec_type, working_as, closed_as):
    order = unsaved_order()

    lifecycle.apply(order, report(exec_type))

    assert (order.working_as, order.closed_as) == (working_as, closed_as)


@pytest.mark.parametrize(
    ("status", "working_as", "closed_as"),
    [
        (OrdStatus.PENDING, None, None),
        (OrdStatus.NEW, "new", None),
        (OrdStatus.PARTIALLY_FILLED, "new", None),
        (OrdStatus.FILLED, "new", None),
        (OrdStatus.PENDING_CANCEL, "pending_cancel", None),
        (OrdStatus.PENDING_REPLACE, "pending_replace", None),
        (OrdStatus.DONE_FOR_DAY, "done_for_day", None),
        (OrdStatus.SUSPENDED, "suspended", None),
        (OrdStatus.CANCELED, None, "canceled"),
        (OrdStatus.REJECTED, None, "rejected"),
        (OrdStatus.EXPIRED, None, "expired"),
    ],
)
def test_order_status_report_is_read_by_its_status(status, working_as, closed_as):
    order = unsaved_order()

    lifecycle.apply(order, report(ExecType.ORDER_STATUS, status=status))

    assert (order.working_as, order.closed_as) == (working_as, closed_as)


def test_older_report_does_not_overwrite_a_newer_one():
    order = unsaved_order()

    lifecycle.apply(order, report(ExecType.PENDING_CANCEL, seconds=2))
    lifecycle.apply(order, report(ExecType.NEW, seconds=1))

    assert (order.working_as, order.working_at) == (WorkingAs.PENDING_CANCEL, at(2))


def test_word_that_all_has_traded_ends_what_is_pending_even_if_it_is_older():
    order = unsaved_order(cum_qty=Decimal(10))

    lifecycle.apply(order, report(ExecType.PENDING_REPLACE, seconds=2))
    lifecycle.apply(order, report(ExecType.ORDER_STATUS, seconds=1, status=OrdStatus.FILLED))

    assert (lifecycle.status_of(order), order.working_at) == (OrdStatus.FILLED, at(2))


def test_word_that_all_has_traded_waits_for_the_trades():
    order = unsaved_order(cum_qty=Decimal(4))

    lifecycle.apply(order, report(ExecType.PENDING_REPLACE, seconds=2))
    lifecycle.apply(order, report(ExecType.ORDER_STATUS, seconds=1, status=OrdStatus.FILLED))

    assert lifecycle.status_of(order) == OrdStatus.PENDING_REPLACE


def test_trade_does_not_end_a_pending_cancel():
    order = unsaved_order(working_as=WorkingAs.PENDING_CANCEL, working_at=at(1))

    order.apply(report(ExecType.TRADE, seconds=2), [trade("1", 10, seconds=2)])

    assert (order.status, order.cum_qty, order.working_at) == (OrdStatus.PENDING_CANCEL, 10, at(1))


def test_trade_before_the_acknowledgement_makes_the_order_work():
    order = unsaved_order()

    order.apply(report(ExecType.TRADE, seconds=2), [trade("1", 4, seconds=2)])
    order.apply(report(ExecType.NEW, seconds=1))

    assert (order.status, order.cum_qty, order.leaves_qty) == (OrdStatus.PARTIALLY_FILLED, 4, 6)


def test_first_word_about_the_close_stands():
    order = unsaved_order(**ACKNOWLEDGED)

    lifecycle.apply(order, report(ExecType.CANCELED, seconds=1))
    lifecycle.apply(order, report(ExecType.EXPIRED, seconds=2))

    assert order.closed_as == ClosedAs.CANCELED


def test_nothing_but_a_bust_opens_a_closed_order():
    order = unsaved_order(**ACKNOWLEDGED)
    order.apply(report(ExecType.CANCELED, seconds=1))

    for late in (ExecType.NEW, ExecType.RESTATED, ExecType.PENDING_REPLACE, ExecType.DONE_FOR_DAY):
        order.apply(report(late, seconds=3))

    assert (order.status, order.leaves_qty) == (OrdStatus.CANCELED, 0)


def test_fill_after_a_cancel_counts_and_the_order_stays_canceled():
    order = unsaved_order(**ACKNOWLEDGED)
    order.apply(report(ExecType.CANCELED, seconds=1))

    order.apply(report(ExecType.TRADE, seconds=2), [trade("1", 3, "50.5", seconds=2)])

    assert (order.status, order.cum_qty, order.leaves_qty, order.avg_px) == ("canceled", 3, 0, Decimal("50.5"))


def test_bust_reopens_a_filled_order():
    order = unsaved_order(**ACKNOWLEDGED)
    fills = [trade("1", 6, seconds=1), trade("2", 4, seconds=2)]
    order.apply(report(ExecType.TRADE, seconds=2), fills)
    assert order.status == OrdStatus.FILLED
    assert order.closed_at is not None

    order.apply(report(ExecType.TRADE_CANCEL, seconds=3), [*fills, bust("3", "2", seconds=3)])

    assert (order.status, order.cum_qty, order.leaves_qty, order.closed_at) == ("partially_filled", 6, 4, None)


@pytest.mark.parametrize(
    ("before", "status", "after"),
    [
        ("pending_cancel", OrdStatus.NEW, "new"),
        ("pending_cancel", OrdStatus.PARTIALLY_FILLED, "new"),
        ("pending_cancel", OrdStatus.FILLED, "new"),
        ("pending_replace", None, "new"),
        ("pending_replace", OrdStatus.PENDING_REPLACE, "pending_replace"),
        ("suspended", None, "suspended"),
        ("done_for_day", None, "done_for_day"),
    ],
)
def test_rejected_cancel_leaves_the_order_as_the_broker_says(before, status, after):
    order = unsaved_order(working_as=before, working_at=at(0))

    lifecycle.apply(order, cancel_rejected(status, seconds=1))

    assert (order.working_as, order.closed_as) == (after, None)


def test_cancel_rejected_as_too_late_tells_that_the_order_is_canceled():
    order = unsaved_order(**ACKNOWLEDGED)

    order.apply(cancel_rejected(OrdStatus.CANCELED, seconds=1))

    assert order.status == OrdStatus.CANCELED


@pytest.mark.parametrize("status", [None, OrdStatus.PENDING, OrdStatus.REJECTED])
def test_cancel_of_an_order_the_broker_does_not_know_neither_acknowledges_nor_closes_it(status):
    # FIX: a cancel rejected for "unknown order" says OrdStatus=Rejected, which is not about our order.
    order = unsaved_order()

    order.apply(cancel_rejected(status))

    assert (order.status, order.working_as, order.closed_as) == (OrdStatus.PENDING, None, None)


def test_duplicate_id_rejected_by_the_broker_leaves_the_first_order_as_it_was():
    order = unsaved_order(**ACKNOWLEDGED)

    order.apply(report(ExecType.REJECTED, seconds=1, status=OrdStatus.NEW))

    assert (order.status, order.closed_as, order.leaves_qty) == (OrdStatus.NEW, None, 10)


def test_replace_confirmed_while_another_is_pending_leaves_the_order_pending():
    order = unsaved_order(working_as=WorkingAs.PENDING_REPLACE, working_at=at(1))

    confirmed = report(ExecType.REPLACED, seconds=2, status=OrdStatus.PENDING_REPLACE, order_qty=Decimal(8))
    order.apply(confirmed)

    assert (order.status, order.order_qty) == (OrdStatus.PENDING_REPLACE, 8)


def test_acknowledgement_of_an_order_whose_cancel_is_pending_leaves_it_pending():
    order = unsaved_order(working_as=WorkingAs.PENDING_CANCEL, working_at=at(1))

    order.apply(report(ExecType.NEW, seconds=2, status=OrdStatus.PENDING_CANCEL))

    assert order.status == OrdStatus.PENDING_CANCEL


@pytest.mark.parametrize("exec_type", [ExecType.REPLACED, ExecType.RESTATED])
@pytest.mark.parametrize(
    ("cum_qty", "asked", "order_qty", "status"),
    [
        (0, 12, 12, "new"),
        (4, 12, 12, "partially_filled"),
        (4, 4, 4, "filled"),
        (4, 3, 4, "filled"),  # below what has traded: amended to it
        (10, 12, 12, "partially_filled"),
    ],
)
def test_changed_quantity_is_never_below_what_has_traded(exec_type, cum_qty, asked, order_qty, status):
    order = unsaved_order(**ACKNOWLEDGED, cum_qty=Decimal(cum_qty))

    order.apply(report(exec_type, seconds=1, order_qty=Decimal(asked)))

    assert (order.order_qty, order.status, order.leaves_qty) == (order_qty, status, order_qty - cum_qty)


def test_pending_replace_does_not_change_the_quantity():
    order = unsaved_order(**ACKNOWLEDGED)

    order.apply(report(ExecType.PENDING_REPLACE, seconds=1, order_qty=Decimal(8)))

    assert (order.order_qty, order.status) == (10, OrdStatus.PENDING_REPLACE)


@pytest.mark.parametrize(
    ("fills", "cum_qty", "avg_px"),
    [
        ([], 0, None),
        ([trade("1", 3, 10)], 3, "10"),
        ([trade("1", 1, 10), trade("2", 2, 13)], 3, "12"),
        ([trade("1", 1, 10), trade("2", 2, "10.00000001")], 3, "10.000000007"),
        ([trade("1", 1, 10), bust("2", "1")], 0, None),
        ([bust("2", "1"), trade("1", 1, 10)], 0, None),
        ([bust("2", "1")], 0, None),
        ([trade("1", 1, 10), correction("2", "1", 5, 20)], 5, "20"),
        ([correction("2", "1", 5, 20)], 5, "20"),
        ([trade("1", 1, 10), correction("2", "1", 0, 0)], 0, None),
        ([trade("1", 1), correction("2", "1", 2), correction("3", "1", 3, seconds=1)], 3, "100"),
        ([trade("1", 1), correction("2", "1", 2), correction("3", "2", 3, seconds=1)], 3, "100"),
        ([trade("1", 1), correction("2", "1", 2), bust("3", "1")], 0, None),
        ([trade("1", 1), correction("2", "1", 2), bust("3", "2")], 0, None),
        ([correction("2", "1", 2), bust("3", "1")], 0, None),
        ([trade("1", 1), trade("2", 2), bust("3", "9")], 3, "100"),
    ],
)
def test_totals_count_each_trade_once_as_last_corrected_unless_busted(fills, cum_qty, avg_px):
    assert lifecycle.totals_of(fills) == (Decimal(cum_qty), None if avg_px is None else Decimal(avg_px))


def test_correction_of_a_correction_stands_whatever_their_times_and_ids_say():
    chain = [trade("9", 1), correction("10", "9", 2), correction("11", "10", 3), correction("100", "11", 4, seconds=-5)]

    assert [trade.standing_exec_id for trade in lifecycle.live_trades(chain)] == ["100"]


def test_corrections_that_name_each_other_in_a_circle_count_once():
    circle = [correction("1", "2", 5), correction("2", "1", 6, seconds=1)]

    assert [trade.standing_exec_id for trade in lifecycle.live_trades(circle)] == ["2"]


def test_corrected_trade_keeps_its_place_among_the_trades():
    fills = [trade("1", 5, seconds=1), trade("2", 5, seconds=2), correction("3", "1", 4, seconds=9)]

    trades = lifecycle.live_trades(fills)

    assert [(trade.exec_id, trade.last_qty) for trade in trades] == [("1", 4), ("2", 5)]
    assert [trade.transact_time for trade in trades] == [at(1), at(2)]
