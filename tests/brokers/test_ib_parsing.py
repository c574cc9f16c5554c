"""TWS's words to ours, without a connection."""

from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace

import pytest

from brokers.adapters.interactive_brokers import hours, orders, parsing
from brokers.adapters.interactive_brokers.adapter import Adapter
from brokers.adapters.interactive_brokers.ids import OrderIds
from brokers.adapters.interactive_brokers.recent import Recent
from brokers.messages import NewOrder, ReplaceOrder
from tradingdesk.fix import OrdStatus, OrdType, Side, TimeInForce

AT = datetime(2026, 4, 15, 19, 7, 9, tzinfo=UTC)


def new_order(**values):
    terms = {"ord_type": OrdType.MARKET, "time_in_force": TimeInForce.DAY, "order_qty": Decimal(10)}
    return NewOrder(client_order_id="c-1", symbol="AAPL", side=Side.BUY, **terms | values)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("20260415 15:07:09 US/Eastern", AT),
        ("20260415 21:07:09 Central European Standard Time", AT),
        ("20260415-19:07:09", AT),
        ("20260415  15:07:09", AT),
        ("2026-04-15T19:07:09Z", AT),
        ("20260415 15:07:09 Nobody Knows", AT),
        ("", None),
        ("yesterday", None),
    ],
)
def test_times_are_read_in_every_form_that_tws_has(text, found):
    assert parsing.moment(text, "America/New_York") == found


@pytest.mark.parametrize(
    ("exec_id", "known", "corrects"),
    [
        ("00025b46.63f8f39c.01.01", (), None),
        ("00025b46.63f8f39c.01.02", (), "00025b46.63f8f39c.01.01"),
        ("00025b46.63f8f39c.01.03", ("00025b46.63f8f39c.01.01",), "00025b46.63f8f39c.01.01"),
        ("00025b46.63f8f39c.02.01", ("00025b46.63f8f39c.01.01",), None),
        ("0001e", (), None),
    ],
)
def test_revision_of_an_execution_names_the_one_it_corrects(exec_id, known, corrects):
    assert parsing.earlier_revision(exec_id, known) == corrects


def test_numbers_are_exact_and_sentinels_are_none():
    assert parsing.optional(196.52) == Decimal("196.52")
    assert str(parsing.optional(100.0)) == "100"
    assert [parsing.optional(value) for value in (1.7976931348623157e308, 2147483647, float("nan"), None, "")] == [
        None
    ] * 5
    with pytest.raises(ValueError, match="not a number"):
        parsing.number(1.7976931348623157e308)


def test_unknown_status_means_a_living_order():
    assert parsing.status_of("Pondering") == (OrdStatus.NEW, "status Pondering")
    assert parsing.status_of("Inactive")[0] == OrdStatus.SUSPENDED


def test_share_classes_are_spelled_both_ways():
    contract = orders.stock("BRK.B")
    assert contract.symbol == "BRK B"
    assert parsing.desk_symbol(contract) == "BRK.B"


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        ({}, {"orderType": "MKT", "tif": "DAY"}),
        (
            {"ord_type": OrdType.LIMIT, "price": Decimal("13.2700")},
            {"orderType": "LMT", "lmtPrice": Decimal("13.27")},
        ),
        (
            {"ord_type": OrdType.STOP_LIMIT, "price": Decimal(9), "stop_px": Decimal(10)},
            {"orderType": "STP LMT", "lmtPrice": Decimal(9), "auxPrice": Decimal(10)},
        ),
        (
            {"ord_type": OrdType.TRAILING_STOP, "trail_price": Decimal("1.5")},
            {"orderType": "TRAIL", "auxPrice": Decimal("1.5")},
        ),
        ({"ord_type": OrdType.TRAILING_STOP, "trail_percent": Decimal(2)}, {"trailingPercent": Decimal(2)}),
        ({"time_in_force": TimeInForce.CLS}, {"orderType": "MOC", "tif": "DAY"}),
        ({"time_in_force": TimeInForce.OPG}, {"orderType": "MKT", "tif": "OPG"}),
        (
            {"ord_type": OrdType.LIMIT, "price": Decimal(9), "extended_hours": True},
            {"outsideRth": True},
        ),
    ],
)  # fmt: skip
def test_orders_are_written_as_ib_has_them(values, fields):
    order = orders.order_request(new_order(**values), "DU1")
    assert {name: getattr(order, name) for name in fields} == fields
    assert (order.account, order.orderRef, order.action, str(order.totalQuantity)) == ("DU1", "c-1", "BUY", "10")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"order_qty": None, "notional": Decimal(100)}, "notional"),
        ({"order_qty": Decimal("1.5")}, "fractional"),
        ({"ord_type": OrdType.LIMIT}, "limit without price"),
        ({"ord_type": OrdType.STOP}, "stop without stop_px"),
        ({"ord_type": OrdType.TRAILING_STOP}, "with 0 trail values"),
        ({"ord_type": OrdType.STOP, "stop_px": Decimal(1), "time_in_force": TimeInForce.OPG}, "stop for opg"),
        ({"ord_type": OrdType.STOP, "stop_px": Decimal(1), "time_in_force": TimeInForce.IOC}, "stop for ioc"),
        ({"extended_hours": True}, "market in extended hours"),
    ],
)
def test_what_ib_is_certain_to_refuse_is_said_before_it_is_sent(values, words):
    assert words in orders.order_objection(new_order(**values), Adapter.capabilities)


def test_change_keeps_what_it_does_not_name():
    working = orders.order_request(new_order(ord_type=OrdType.LIMIT, price=Decimal(9)), "DU1")
    request = ReplaceOrder("c-2", "c-1", "99", order_qty=Decimal(12))
    changed = orders.changed_order(request, working)
    assert (changed.totalQuantity, changed.lmtPrice, changed.orderRef) == (Decimal(12), Decimal(9), "c-1")
    assert orders.is_as_asked(changed, changed)
    assert not orders.is_as_asked(changed, working)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "changes nothing"),
        ({"stop_px": Decimal(1)}, "stop_px of a LMT"),
        ({"trail_price": Decimal(1)}, "trail_price of a LMT"),
        ({"order_qty": Decimal("1.5")}, "fractional"),
        ({"price": Decimal(-1)}, "not above 0"),
        ({"time_in_force": TimeInForce.FOK}, "fok in a replace"),
    ],
)
def test_change_that_cannot_be_put_is_refused(changes, words):
    working = orders.order_request(new_order(ord_type=OrdType.LIMIT, price=Decimal(9)), "DU1")
    contract = SimpleNamespace(secType="STK")
    assert words in orders.replace_objection(ReplaceOrder("c-2", "c-1", "99", **changes), contract, working)


def test_clock_is_read_from_trading_hours():
    text = "20260415:0930-20260415:1600;20260416:CLOSED;20260417:0930-20260417:1300"
    during = hours.clock_state(datetime(2026, 4, 15, 15, 0, tzinfo=UTC), text, "US/Eastern")
    assert during.is_open
    assert during.next_close == datetime(2026, 4, 15, 20, 0, tzinfo=UTC)
    assert during.next_open == datetime(2026, 4, 17, 13, 30, tzinfo=UTC)
    after = hours.clock_state(datetime(2026, 4, 15, 20, 0, tzinfo=UTC), text, "US/Eastern")
    assert not after.is_open
    assert after.next_close == datetime(2026, 4, 17, 17, 0, tzinfo=UTC)


def test_clock_past_the_known_hours_is_not_guessed():
    with pytest.raises(ValueError, match="end before"):
        hours.clock_state(AT, "20260414:0930-20260414:1600", "US/Eastern")


def test_order_ids_rise_are_sent_once_and_never_after_a_higher_one():
    ids = OrderIds()
    ids.at_least(7)
    first, second = ids.for_order(), ids.for_order()
    assert (first, ids.for_request(), second) == (7, 9, 8)
    assert ids.is_waiting_for_earlier(second)
    assert ids.use(second)
    assert not ids.use(second)
    assert not ids.use(first)
    ids.at_least(3)
    assert ids.for_order() == 10


def test_memory_keeps_what_was_set_last():
    recent = Recent(2)
    recent["a"] = 1
    recent["b"] = 2
    recent["a"] = 3
    recent["c"] = 4
    assert dict(recent) == {"a": 3, "c": 4}
