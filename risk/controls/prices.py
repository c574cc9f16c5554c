"""How far from the market an order's price may be, and how its own kind may be working already."""

from collections.abc import Iterable
from decimal import Decimal

from risk.controls.control import ANYWHERE, BEFORE_ACCOUNTS, Case, ControlSpec, Unit, Unmeasured
from risk.models import Control
from risk.rules import Bound, Denial
from tradingdesk.fields import plain
from tradingdesk.fix import AssetClass, OrdType, Side

CLOSES = "prior close"
OPPOSITE = "own orders of the other side"
_STOPS = (OrdType.STOP, OrdType.TRAILING_STOP)


def session_open(case: Case) -> bool:
    """Whether the market is open for the order at the account.

    Raises:
        Unmeasured: nobody has read the account's clock lately.
    """
    if case.order.asset_class == AssetClass.CRYPTO:
        return True
    if case.account.session_open is None:
        raise Unmeasured("the market's clock has not been read at this account lately")
    return case.account.session_open


def _reference(case: Case) -> tuple[Decimal, str]:
    """What a price is held against, and what it is called: by the session, the account's own mid or its last close."""
    order, account = case.order, case.account
    if order.ord_type is OrdType.STOP_LIMIT:
        return order.stop_px, "stop_px"
    if session_open(case):
        return (account.bid_px + account.ask_px) / 2, "mid"
    close = case.fact(CLOSES).get(account.broker_name)
    if not close:
        raise Unmeasured(f"the market is closed, and no prior close of {order.symbol} is known here")
    return close, CLOSES


def _collar(case: Case, bound: Bound) -> Iterable[Denial]:
    """Deny to pay more, or to sell for less, than the collar allows; a stop trades at the market's price then."""
    order = case.order
    if order.ord_type in _STOPS:
        return
    px, (reference, name) = order.price or case.account.far_px(order.side), _reference(case)
    away = reference * bound.value
    if order.side is Side.BUY and px > reference + away:
        edge, words = reference + away, "at most"
    elif order.side is Side.SELL and px < reference - away:
        edge, words = reference - away, "at least"
    else:
        return
    detail = f"price={plain(px)}, {name}={plain(reference)}, would pass={words} {plain(edge)}"
    passes = f"price of {words} {plain(edge)}"
    yield bound.denial("PRICE_OUTSIDE_COLLAR", detail, field="price", found=plain(px), passes=passes)


def _self_cross(case: Case, bound: Bound) -> Iterable[Denial]:
    """Deny what could trade with a working order of the desk's own, at whichever account it is."""
    order, other = case.order, case.fact(OPPOSITE)
    if other is None or order.ord_type not in (OrdType.MARKET, OrdType.LIMIT):
        return
    px, there = order.price or case.account.far_px(order.side), other.price
    if there is not None and (px - there) * order.side.sign < 0:
        return
    at = "the market's price" if there is None else plain(there)
    detail = f"price={plain(px)} meets our own {other.client_order_id} at {other.broker_name}, {at}"
    passes = "the same order once that one is cancelled"
    if there is not None:
        passes = f"price {'below' if order.side is Side.BUY else 'above'} {plain(there)}, or {passes}"
    yield bound.denial("WOULD_CROSS_OWN_ORDER", detail, field="price", found=plain(px), passes=passes)


PRICE_COLLAR = ControlSpec(
    Control.PRICE_COLLAR,
    "how far beyond its reference a price may be, as a part of it: the mid in the session, else the last day's close",
    Unit.RATIO,
    ANYWHERE,
    _collar,
    needs=frozenset({CLOSES}),
    reads_clock=True,
)
NO_SELF_CROSS = ControlSpec(
    Control.NO_SELF_CROSS,
    "no order may trade with one of the desk's own, at any account",
    Unit.FLAG,
    BEFORE_ACCOUNTS,
    _self_cross,
    needs=frozenset({OPPOSITE}),
)
