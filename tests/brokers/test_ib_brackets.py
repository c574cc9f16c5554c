"""Brackets in IB's words: children of one order, transmitted together by the last of them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from brokers.adapters.interactive_brokers import brackets
from brokers.messages import NewLeg, TryLater
from tests.brokers import tws_messages as tws
from tests.brokers.ib_desk import ACCOUNT, PERM_ID, acknowledge, desk, limit_order
from tradingdesk.fix import LegRole, OrderClass, Side

PROFIT = NewLeg("c-1-L1", LegRole.TAKE_PROFIT, price=Decimal("15"))
LOSS = NewLeg("c-1-L2", LegRole.STOP_LOSS, price=Decimal("11.5"), stop_px=Decimal("12"))
BRACKET = {"order_class": OrderClass.BRACKET, "legs": (PROFIT, LOSS), "extended_hours": False}


def test_only_the_last_of_a_bracket_is_transmitted_and_the_others_with_it():
    order = limit_order(**BRACKET)
    (first, parent), (second, profit), (third, loss) = brackets.group_requests(order, [7, 8, 9], ACCOUNT)
    assert (first, second, third) == (7, 8, 9)
    assert [one.transmit for one in (parent, profit, loss)] == [False, False, True]
    assert [one.parentId for one in (parent, profit, loss)] == [0, 7, 7]
    assert [one.orderRef for one in (parent, profit, loss)] == ["c-1", "c-1-L1", "c-1-L2"]
    assert [(one.action, one.orderType) for one in (parent, profit, loss)] == [
        ("BUY", "LMT"),
        ("SELL", "LMT"),
        ("SELL", "STP LMT"),
    ]
    assert (loss.lmtPrice, loss.auxPrice, loss.totalQuantity) == (Decimal("11.5"), Decimal(12), Decimal(10))


def test_exits_of_a_sale_buy_back():
    leg = NewLeg("c-1-L1", LegRole.STOP_LOSS, stop_px=Decimal(14))
    order = limit_order(side=Side.SELL, order_class=OrderClass.OTO, legs=(leg,))
    [(_, parent), (_, loss)] = brackets.group_requests(order, [7, 8], ACCOUNT)
    assert (parent.transmit, loss.transmit) == (False, True)
    assert (loss.action, loss.orderType, loss.auxPrice) == ("BUY", "STP", Decimal(14))


def test_simple_order_is_transmitted_at_once():
    [(number, request)] = brackets.group_requests(limit_order(), [7], ACCOUNT)
    assert (number, request.transmit, request.parentId) == (7, True, 0)


def test_exits_of_what_is_held_are_one_group_and_each_is_transmitted():
    order = limit_order(side=Side.SELL, order_class=OrderClass.OCO, legs=(LOSS,))
    (first, profit), (second, loss) = brackets.group_requests(order, [7, 8], ACCOUNT)
    assert (first, second) == (7, 8)
    for one in (profit, loss):
        assert (one.action, one.transmit, one.parentId, one.ocaGroup, one.ocaType) == ("SELL", True, 0, "c-1", 2)
    assert [one.orderRef for one in (profit, loss)] == ["c-1", LOSS.client_order_id]
    assert (profit.orderType, loss.orderType) == ("LMT", "STP LMT")


def test_exits_of_an_entry_that_was_refused_are_ended_too():
    with desk() as made:
        made.tws.on(tws.PLACE_ORDER, refuse_the_entry)
        made.tws.on(tws.CANCEL_ORDER, end)
        with pytest.raises(TryLater, match="100: Max rate"):
            made.submit(**BRACKET)
        ended = {fields[2] for fields in made.tws.of(tws.CANCEL_ORDER)}
    assert ended == {"7", "8", "9"}
    assert made.told()[-1] == ("canceled", "c-1-L2")


def test_exit_that_an_earlier_try_has_left_is_ended_before_the_order_is_sent_again():
    with desk() as made:
        left = tws.open_order(5, perm_id=PERM_ID, order_ref="c-1-L2", client_id=1)
        made.tws.on(tws.ALL_OPEN_ORDERS, lambda line, _: (line.send(left), line.send(tws.open_order_end())))
        with pytest.raises(TryLater, match="c-1-L2 is left of an earlier try"):
            made.submit(**BRACKET)
        assert made.tws.wait_for(tws.CANCEL_ORDER)[2] == "5"
        assert not made.tws.of(tws.PLACE_ORDER)


def refuse_the_entry(line, fields):
    """TWS gets too many messages for a moment: it refuses the entry, and takes what comes after it."""
    if fields[1] == "7":
        line.send(tws.error(7, 100, "Max rate of messages per second has been exceeded."))
    else:
        acknowledge(line, fields)


def end(line, fields):
    """Cancel an order of this line; of one that TWS never had it says so."""
    number = int(fields[2])
    if number == 7:
        line.send(tws.error(number, 10147, "OrderId 7 that needs to be cancelled is not found."))
    else:
        line.send(tws.order_status(number, "Cancelled", perm_id=PERM_ID + number, client_id=line.client_id))
