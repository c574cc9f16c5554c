"""What holds in the sandbox's engine whatever is sent to it, in whatever order."""

from __future__ import annotations

from decimal import Decimal as D

from hypothesis import given, settings
from hypothesis import strategies as st

from brokers.sandbox.book import OPEN, ZERO, Quote, Refused
from brokers.sandbox.ledger import AccountRules, Holding
from tests.brokers.sandbox_market import START, Market
from tradingdesk.fix import OrdStatus, Side

RULES = {
    "one": AccountRules(starting_cash=D(50_000), multiplier=D(2), shorting=True, fee_per_share=D("0.01")),
    "two": AccountRules(
        starting_cash=D(20_000), shorting=False, fee_min=D(1), partial_fill_probability=0.4, ack_delay_s=0.002
    ),
}
prices = st.integers(9_800, 10_200).map(lambda cents: D(cents) / 100)
sizes = st.integers(0, 120)
numbers = st.integers(0, 60)

quotes = st.tuples(st.just("quote"), prices, st.integers(1, 50).map(lambda c: D(c) / 100), sizes, sizes)
sends = st.tuples(
    st.just("send"),
    st.sampled_from(["one", "two"]),
    st.sampled_from(["buy", "sell"]),
    st.integers(1, 200),
    st.sampled_from(["market", "limit", "stop", "stop_limit", "trailing_stop"]),
    prices,
    st.sampled_from(["day", "gtc", "ioc", "fok"]),
)
moves = st.tuples(st.sampled_from(["cancel", "replace", "unasked", "bust", "correct", "pause", "resume"]), numbers)
times = st.tuples(st.sampled_from(["step", "close", "open"]))
scripts = st.lists(st.one_of(quotes, sends, sends, moves, times), min_size=5, max_size=60)


class Script:
    """Play a drawn script on a market; what the engine refuses is part of the play."""

    def __init__(self, seed: int = 7):
        self.market = Market(RULES["one"], seed=seed, two=RULES["two"])
        self.market.quote("99.90", "100.00")

    def play(self, script) -> Market:
        for action, *arguments in script:
            try:
                getattr(self, f"do_{action}")(*arguments)
            except Refused:
                continue
        return self.market

    def do_quote(self, bid, spread, bid_size, ask_size):
        self.market.quote(bid, bid + spread, bid_size, ask_size)

    def do_send(self, account, side, qty, kind, price, tif):
        more = {"price": price} if "limit" in kind else {}
        more |= {"stop_px": price} if kind in ("stop", "stop_limit") else {}
        more |= {"trail_price": D("0.5")} if kind == "trailing_stop" else {}
        self.market.send(side, qty, kind, account=account, tif="day" if "stop" in kind else tif, **more)

    def do_step(self):
        self.market.step(0.002)

    def do_close(self):
        self.market.engine.close_session(self.market.tick())

    def do_open(self):
        self.market.engine.open_session(self.market.tick())

    def do_cancel(self, number):
        self._on_order(number, self.market.cancel)

    def do_replace(self, number):
        self._on_order(number, lambda order: self.market.replace(order, order_qty=number + 1))

    def do_unasked(self, number):
        self._on_order(number, lambda order: self.market.engine.cancel_unasked(order, self.market.tick()))

    def do_pause(self, number):
        pause = self.market.engine.pause
        self._on_order(number, lambda order: pause(order, self.market.tick(), OrdStatus.SUSPENDED))

    def do_resume(self, number):
        paused = [o for o in self.market.engine.orders.values() if o.status is OrdStatus.SUSPENDED]
        for order in paused[:1]:
            self.market.engine.resume(order, self.market.tick())

    def do_bust(self, number):
        self._on_trade(number, lambda trade: self.market.engine.bust(trade.exec_id, self.market.tick()))

    def do_correct(self, number):
        correct = self.market.engine.correct
        self._on_trade(number, lambda trade: correct(trade.exec_id, D(number + 1), D(100), self.market.tick()))

    def _on_order(self, number, action):
        orders = list(self.market.engine.orders.values())
        if orders:
            action(orders[number % len(orders)])

    def _on_trade(self, number, action):
        trades = [t for account in self.market.engine.accounts.values() for t in account.trades.values()]
        if trades:
            action(trades[number % len(trades)])


@given(scripts)
@settings(max_examples=60)
def test_books_always_balance(script):
    market = Script().play(script)
    for name, account in market.engine.accounts.items():
        expected, cash = Holding(), RULES[name].starting_cash
        for trade in account.trades.values():
            expected.apply(trade.qty * trade.side.sign, trade.px)
            cash -= trade.qty * trade.px * trade.side.sign + trade.fee
        assert account.position("IBM") == expected.qty == sum(t.qty * t.side.sign for t in account.trades.values())
        assert account.cash == cash
        open_orders = market.engine.open[name].values()
        assert account.held_cash == sum((o.held_cash for o in open_orders), ZERO)
        for side in Side:
            assert account.held_qty[("IBM", side)] == sum((o.held_qty for o in open_orders if o.side is side), ZERO)


@given(scripts)
@settings(max_examples=60)
def test_no_order_is_overfilled_or_traded_through_its_limit(script):
    market = Script().play(script)
    for order in market.engine.orders.values():
        assert 0 <= order.cum_qty <= order.order_qty
        assert (order.status in OPEN) == (order.order_id in market.engine.open[order.account])
        if order.status is OrdStatus.FILLED:
            assert order.cum_qty == order.order_qty
        if order.is_open:
            assert order.leaves() > 0
    for event in market.events():
        trade, limit = event.execution, event.order.limit
        if event.kind == "trade" and limit is not None:
            assert trade.px <= limit if trade.side is Side.BUY else trade.px >= limit


@given(scripts)
@settings(max_examples=60)
def test_no_more_is_traded_with_a_quote_than_it_displayed(script):
    played = Script()
    market = played.market
    shown = {Side.BUY: D(100), Side.SELL: D(100)}
    for step in script:
        if step[0] == "quote":
            shown = {Side.BUY: D(step[4]), Side.SELL: D(step[3])}
        market.events()
        played.play([step])
        for event in market.events():
            if event.kind == "trade":
                shown[event.execution.side] -= event.execution.qty
        assert all(left >= 0 for left in shown.values())


@given(st.lists(st.tuples(prices, st.integers(1, 80)), min_size=2, max_size=12), st.integers(1, 400))
def test_resting_orders_fill_by_price_then_time(limits, shown):
    market = Market()
    market.quote("103.00", "104.00")
    orders = [market.order("buy", qty, "limit", price=price) for price, qty in limits]
    market.quote("97.00", "98.00", ask_size=shown)
    left = D(shown)
    for order in sorted(orders, key=lambda o: (-o.price, o.seq)):
        assert order.cum_qty == min(order.order_qty, left)
        left -= order.cum_qty


@given(scripts)
@settings(max_examples=20)
def test_same_script_gives_the_same_events(script):
    assert Script(seed=3).play(script).events() == Script(seed=3).play(script).events()


@given(scripts)
@settings(max_examples=40)
def test_engine_rebuilt_from_what_was_stored_stands_where_it_stood(script):
    market = Script().play(script)
    market.step(0.01)
    stored: dict = {}
    for event in market.events():
        stored[event.order.order_id] = event.order
    executions = list(market.engine.executions.values())
    again = Market(RULES["one"], two=RULES["two"])
    again.engine.on_quote(Quote("IBM", D("99"), ZERO, D("100"), ZERO, START), START)
    again.engine.restore(sorted(stored.values(), key=lambda o: o.seq), executions, market.now)

    def standing(engine) -> dict:
        return {o.client_order_id: (o.status, o.cum_qty, o.cum_value, o.fees) for o in engine.orders.values()}

    assert standing(again.engine) == standing(market.engine)
    for name, account in market.engine.accounts.items():
        rebuilt = again.engine.accounts[name]
        assert (rebuilt.cash, rebuilt.holdings, rebuilt.trades) == (account.cash, account.holdings, account.trades)
