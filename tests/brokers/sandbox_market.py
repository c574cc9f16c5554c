"""A market in a test's hands: the sandbox's engine with a clock that the test moves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from brokers.sandbox.book import Event, Order, Quote, Ticket
from brokers.sandbox.engine import Engine
from brokers.sandbox.ledger import AccountRules
from tradingdesk.fix import OrdType, Side, TimeInForce

START = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)
MARGIN = AccountRules(starting_cash=Decimal(10_000_000), multiplier=Decimal(4), shorting=True)


def d(value) -> Decimal | None:
    """A Decimal of whatever reads well in a test."""
    return None if value is None else Decimal(str(value))


class Market:
    """One engine with account `one` (and others by keyword), open, the clock moving a millisecond with each call."""

    def __init__(self, rules: AccountRules = MARGIN, *, seed: int = 0, is_open: bool = True, **others: AccountRules):
        self.engine = Engine({"one": rules, **others}, seed=seed)
        self.now = START
        if is_open:
            self.engine.open_session(self.now)

    def tick(self, seconds: float = 0.001) -> datetime:
        """Move the clock."""
        self.now += timedelta(seconds=seconds)
        return self.now

    def quote(self, bid, ask, bid_size=100, ask_size=100, symbol="IBM") -> None:
        """Show a quote."""
        at = self.tick()
        self.engine.on_quote(Quote(symbol, d(bid), d(bid_size), d(ask), d(ask_size), at), at)

    def step(self, seconds: float = 0.001) -> None:
        """Let what is due be done."""
        self.engine.step(self.tick(seconds))

    def send(self, side="buy", qty=None, kind="market", *, account="one", tif="day", symbol="IBM", **more) -> Order:
        """Send an order, not yet acknowledged."""
        more = {name: d(value) if name != "client_order_id" else value for name, value in more.items()}
        ticket = Ticket(symbol, Side(side), OrdType(kind), TimeInForce(tif), d(qty), **more)
        return self.engine.submit(account, ticket, self.tick())

    def order(self, *args, **kwargs) -> Order:
        """Send an order and let it arrive."""
        order = self.send(*args, **kwargs)
        self.step()
        return order

    def cancel(self, order: Order) -> None:
        """Ask for a cancel, not yet done."""
        self.engine.cancel(order.account, order.order_id, self.tick())

    def replace(self, order: Order, **changes) -> Order:
        """Ask for a change, not yet done; the new order."""
        changes = {k: d(v) if k not in ("client_order_id", "time_in_force") else v for k, v in changes.items()}
        return self.engine.replace(order.account, order.order_id, self.tick(), **changes)

    def events(self) -> list[Event]:
        """What happened since the last call."""
        return self.engine.drain()

    def kinds(self, order: Order | None = None) -> list[str]:
        """What happened since the last call, to one order or to all, as plain words."""
        return [str(e.kind) for e in self.events() if order is None or e.order.order_id == order.order_id]

    def trades(self, account="one") -> list[tuple[Decimal, Decimal]]:
        """(quantity, price) of an account's trades as they stand."""
        return [(trade.qty, trade.px) for trade in self.engine.accounts[account].trades.values()]

    def account(self, name="one"):
        """An account's books."""
        return self.engine.accounts[name]

    def position(self, symbol="IBM", account="one") -> Decimal:
        """A position."""
        return self.engine.accounts[account].position(symbol)
