"""A desk with many positions, open orders and controls; `tests.benchmarks.history` gives it a past."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import cycle, islice

from django.db import transaction
from django.utils import timezone

from brokers.models import BrokerAccount, Instrument, Listing, Quote
from orders.models import Order, Position, TradeLog
from risk import exposure
from risk.exposure import Shift
from risk.limits import LimitValue, set_limits
from risk.models import Control, Scope
from tests.factories import OrderFactory, PositionFactory, TradeLogFactory, trading_desk
from tradingdesk.fix import Side

ACCOUNTS = ("alpaca", "alpaca_margin")
PX = Decimal(100)
QTY = Decimal(10)
ROOM = Decimal(10**9)  # every limit is in force, none is in the way
BATCH = 500


def symbols(count: int) -> list[str]:
    """So many symbols."""
    return [f"S{number:05}" for number in range(count)]


def build(*, controls: int, open_orders: int, positions: int) -> list[str]:
    """Make a desk of two accounts with so many of each; the symbols it trades, half as many as positions."""
    names = symbols(max(positions // len(ACCOUNTS), 1))
    trading_desk(*ACCOUNTS)
    BrokerAccount.objects.update(portfolio_value=ROOM, equity=ROOM, cash=ROOM, buying_power=ROOM)
    instruments = Instrument.objects.bulk_create([Instrument(symbol=name, name=name) for name in names])
    _quote(instruments)
    _hold(instruments)
    _enter(instruments, open_orders)
    BrokerAccount.objects.update(last_updated=timezone.now())
    set_limits(limits(controls, names), actor="system:config", reason="a large desk", replace_all=True)
    return names


def limits(count: int, names: list[str]) -> list[LimitValue]:
    """So many limits: the firm's, those of brokers, accounts and others that an order is of, then those of symbols."""
    day = Decimal(86_400)
    of_firm = {
        Control.MAX_ORDER_QTY: ROOM,
        Control.MAX_ORDER_NOTIONAL: ROOM,
        Control.PORTFOLIO_RISK_LIMIT: ROOM,
        Control.MAX_BROKER_ALLOCATION: Decimal(1),
        Control.MIN_BROKER_DIVERSIFICATION: Decimal(2),
        Control.MAX_QUOTE_AGE: day,
        Control.MAX_QUOTE_LAG: day,
    }
    firm = [LimitValue(control, value) for control, value in of_firm.items()]
    per_scope = (Control.MAX_ORDER_QTY, Control.MAX_ORDER_NOTIONAL)
    scopes = [(Scope.BROKER, "alpaca"), (Scope.ASSET_CLASS, "us_equity"), (Scope.STRATEGY, "bench")]
    scopes += [(Scope.ACCOUNT, name) for name in ACCOUNTS] + [(Scope.SYMBOL, name) for name in _endless(names)]
    narrower = (LimitValue(control, ROOM, *scope) for scope in scopes for control in per_scope)
    return [*firm, *islice(narrower, max(count - len(firm), 0))]


def _endless(names: list[str]) -> list[str]:
    """The symbols that are traded, then others: a limit may be set before a symbol is known."""
    return names + [f"X{number:05}" for number in range(1_000)]


def _quote(instruments: list[Instrument]) -> None:
    values = {"fractionable": True, "shortable": True, "marginable": True}
    listings = Listing.objects.bulk_create(
        Listing(account_id=name, instrument=one, broker_symbol=one.symbol, **values)
        for name in ACCOUNTS
        for one in instruments
    )
    now, size = timezone.now(), Decimal(100)
    values = {"bid_px": PX, "ask_px": PX, "bid_size": size, "ask_size": size, "quote_time": now, "received_at": now}
    Quote.objects.bulk_create(Quote(listing=listing, **values) for listing in listings)


def _hold(instruments: list[Instrument]) -> None:
    accounts = {name: BrokerAccount.objects.get(pk=name) for name in ACCOUNTS}
    positions = Position.objects.bulk_create(
        PositionFactory.build(account=accounts[name], instrument=one, symbol=one.symbol, qty=QTY, avg_px=PX)
        for name in ACCOUNTS
        for one in instruments
    )
    TradeLog.objects.bulk_create(TradeLogFactory.build(position=position) for position in positions)
    for name in ACCOUNTS:
        _move(name, [Shift(one.symbol, Side.BUY, position_qty=QTY, mark_px=PX) for one in instruments])


def _enter(instruments: list[Instrument], count: int) -> None:
    """Enter orders that work at the broker, by turns at each account and in each symbol."""
    account_of, worth = cycle(ACCOUNTS), QTY * PX
    reserved = {"reserve_total_qty": QTY, "reserve_px": PX, "reserved_qty": QTY, "reserved_notional": worth}
    values = reserved | {"order_qty": QTY, "price": PX, "buying_power_held": worth, "acknowledged_at": timezone.now()}
    orders = [
        OrderFactory.build(account_id=next(account_of), account=None, instrument=one, symbol=one.symbol, **values)
        for one in islice(cycle(instruments), count)
    ]
    Order.objects.bulk_create(orders, batch_size=BATCH)
    for name in ACCOUNTS:
        _move(name, [Shift(one.symbol, Side.BUY, QTY, worth) for one in orders if one.account_id == name])


def _move(broker_name: str, shifts: Sequence[Shift]) -> None:
    for first in range(0, len(shifts), BATCH):
        with transaction.atomic():
            exposure.move_all(broker_name, shifts[first : first + BATCH])
