"""Brackets in IB's words: children of one order, transmitted together by the last of them."""

from __future__ import annotations

from decimal import Decimal

from brokers.adapters.interactive_brokers import brackets
from brokers.messages import NewLeg
from tests.brokers.ib_desk import ACCOUNT, limit_order
from tradingdesk.fix import LegRole, OrderClass, Side

PROFIT = NewLeg("c-1-L1", LegRole.TAKE_PROFIT, price=Decimal("15"))
LOSS = NewLeg("c-1-L2", LegRole.STOP_LOSS, price=Decimal("11.5"), stop_px=Decimal("12"))


def test_only_the_last_of_a_bracket_is_transmitted_and_the_others_with_it():
    order = limit_order(order_class=OrderClass.BRACKET, legs=(PROFIT, LOSS), extended_hours=False)
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
