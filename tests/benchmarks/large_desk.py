"""A desk with many positions, open orders and controls; `tests.benchmarks.history` gives it a past."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from itertools import cycle, islice

from django.db import transaction
from django.utils import timezone

from brokers.models import BrokerAccount, DailyBar, Instrument, Listing, Quote
from orders.models import Order, Position, TradeLog
from risk import exposure
from risk.exposure import Shift
from risk.limits import LimitValue, set_limits
from risk.models import Control, Scope
from tests.factories import DailyBarFactory, OrderFactory, PositionFactory, TradeLogFactory, trading_desk
from tradingdesk.fix import Side

ACCOUNTS = ("alpaca", "alpaca_margin")
PX = Decimal(100)
QTY = Decimal(10)
ROOM = Decimal(10**9)  # every limit is in force, none is in the way
BATCH = 500
SECTOR = "Technology"
_DAY, _FLAG = Decimal(86_400), Decimal(1)
OF_FIRM = {
    Control.MAX_ORDER_QTY: ROOM,
    Control.MAX_ORDER_NOTIONAL: ROOM,
    Control.PORTFOLIO_RISK_LIMIT: ROOM,
    Control.MAX_BROKER_ALLOCATION: Decimal(1),
    Control.MIN_BROKER_DIVERSIFICATION: Decimal(2),
    Control.MAX_QUOTE_AGE: _DAY,
    Control.MAX_QUOTE_LAG: _DAY,
    Control.MAX_NET_EXPOSURE: ROOM,
    Control.MAX_SYMBOL_EXPOSURE: ROOM,
    Control.MAX_SECTOR_EXPOSURE: ROOM,
    Control.MAX_BETA_EXPOSURE: ROOM,
    Control.MAX_ALLOCATION_DRIFT: Decimal(1),
    Control.MAX_MARGIN_USE: ROOM,
    Control.MAX_ADV_SHARE: ROOM,
    Control.MAX_DISPLAYED_RATIO: ROOM,
    Control.PRICE_COLLAR: ROOM,
    Control.DUPLICATE_WINDOW: Decimal("0.000001"),
    Control.MAX_MESSAGES_PER_SECOND: ROOM,
    Control.MAX_MESSAGES_PER_MINUTE: ROOM,
    Control.NO_SELF_CROSS: _FLAG,
    Control.NO_SHORT_SALES: _FLAG,
    Control.SESSION_ONLY: _FLAG,
    Control.MAX_CLOCK_DRIFT: _DAY,
}


def symbols(count: int) -> list[str]:
    """So many symbols."""
    return [f"S{number:05}" for number in range(count)]


def build(*, controls: int, open_orders: int, positions: int) -> list[str]:
    """Make a desk of two accounts with so many of each; the symbols it trades, half as many as positions."""
    names = symbols(max(positions // len(ACCOUNTS), 1))
    trading_desk(*ACCOUNTS)
    _fund()
    instruments = Instrument.objects.bulk_create(
        Instrument(symbol=name, name=name, sector=SECTOR, beta=Decimal(1)) for name in names
    )
    _quote(instruments)
    _hold(instruments)
    _enter(instruments, open_orders)
    BrokerAccount.objects.update(last_updated=timezone.now())
    set_limits(limits(controls, names), actor="system:config", reason="a large desk", replace_all=True)
    return names


def limits(count: int, names: list[str]) -> list[LimitValue]:
    """So many limits: the firm's, those of brokers, accounts and others that an order is of, then those of symbols."""
    firm = [LimitValue(control, value) for control, value in OF_FIRM.items()]
    per_scope = (Control.MAX_ORDER_QTY, Control.MAX_ORDER_NOTIONAL)
    scopes = [(Scope.BROKER, "alpaca"), (Scope.ASSET_CLASS, "us_equity"), (Scope.STRATEGY, "bench")]
    scopes += [(Scope.ACCOUNT, name) for name in ACCOUNTS] + [(Scope.SYMBOL, name) for name in _endless(names)]
    narrower = (LimitValue(control, ROOM, *scope) for scope in scopes for control in per_scope)
    return [*firm, *islice(narrower, max(count - len(firm), 0))]


def _fund() -> None:
    """Give the accounts plenty, and a clock of an open market that need not be read again for a day."""
    money = dict.fromkeys(("portfolio_value", "equity", "cash", "buying_power"), ROOM)
    tomorrow = timezone.now() + timedelta(days=1)
    clock = {"session_open": True, "session_changes_at": tomorrow, "clock_drift_ms": 0, "clock_read_at": tomorrow}
    BrokerAccount.objects.update(**money, **clock, initial_margin=Decimal(0))


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
    DailyBar.objects.bulk_create(DailyBarFactory.build(listing=listing, close_px=PX) for listing in listings)


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
