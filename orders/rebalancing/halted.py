"""What halts let a plan do at an account, as the gate will judge its orders: they are market orders, and new."""

from __future__ import annotations

from decimal import Decimal

from risk.levels import refuses, wants_less
from risk.rules import ProposedOrder, Rulebook
from tradingdesk.fix import OrdType, Side


def stopped_by(book: Rulebook, broker_name: str, symbol: str = "") -> str:
    """The halt that stops every order of a plan there; "" where none does."""
    return next((str(one) for one in book.halts_on(broker_name, symbol) if refuses(one, _order(Side.BUY))), "")


def kept_from_adding(book: Rulebook, broker_name: str, symbol: str = "") -> str:
    """The halt that lets only closing orders through there; "" where none does."""
    return next((str(one) for one in book.halts_on(broker_name, symbol) if wants_less(one, _order(Side.BUY))), "")


def may_sell_short(book: Rulebook, broker_name: str, symbol: str) -> bool:
    """Whether no halt stands against a short sale there."""
    return not any(wants_less(one, _order(Side.SELL)) for one in book.halts_on(broker_name, symbol))


def _order(side: Side) -> ProposedOrder:
    return ProposedOrder(symbol="", side=side, ord_type=OrdType.MARKET, order_qty=Decimal(1))
