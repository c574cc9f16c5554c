"""No sequence of orders, fills, cancels, replaces, busts, corrections and restarts takes the desk past a hard limit.

What is measured is what was entered: what the desk's totals say, and what the brokers' own books could become. The
market stands still at 100, so only orders move exposure. `pytest --hypothesis-profile=explore
tests/orders/test_limits_machine.py` looks for new sequences.
"""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from brokers.models import BrokerAccount, Instrument, Quote
from orders.changes import parse_changes, request_cancel, request_replace
from orders.models import Order, OrderRequest
from risk import rulebook
from risk.halts import halt, halts_in_force, resume
from risk.limits import LimitValue, set_limits
from risk.models import Control, ExposureTotal, Scope
from tests.orders.desk import Counterparty, roomy_desk, sent, submit
from tests.orders.invariants import assert_books_balance
from tradingdesk.errors import DeskError
from tradingdesk.fix import ExecType, RequestKind, RequestState

ACCOUNTS, SYMBOLS = ("alpaca", "alpaca_margin"), ("IBM", "BAC")
NO_LIMIT = Decimal("Infinity")
PX = Decimal(100)
SPEND = Decimal(40_000)
PORTFOLIO = Decimal(100_000)
ENDINGS = (ExecType.CANCELED, ExecType.EXPIRED, ExecType.REJECTED, ExecType.DONE_FOR_DAY)
orders_at = Bundle("orders_at")
quantities = st.sampled_from(["10", "50", "70.5", "100", "150"])
limit_prices = st.sampled_from(["95", "100", "104.37"])


@dataclass
class Trade:
    """A trade of the broker's, as it stands there."""

    exec_id: str
    qty: Decimal


class Broker(Counterparty):
    """The broker's own book of one order: what works there, what has traded, and whether it has ended."""

    def __init__(self, order: Order):
        super().__init__(order)
        self.symbol, self.qty, self.price = order.symbol, order.order_qty, order.price
        self.trades: list[Trade] = []
        self.known, self.ended = False, False

    @property
    def sign(self) -> int:
        return 1 if self.side == "buy" else -1

    @property
    def traded(self) -> Decimal:
        return sum((trade.qty for trade in self.trades), Decimal(0))

    @property
    def working(self) -> Decimal:
        """What may still trade."""
        return Decimal(0) if self.ended else max(self.qty - self.traded, Decimal(0))

    @property
    def tradable(self) -> bool:
        """Whether its price is one that the market at 100 gives."""
        return self.price >= PX if self.side == "buy" else self.price <= PX

    def worst(self) -> Decimal:
        """What it still may trade, at the worst price it may have: a sale fetches what the market gives."""
        return self.working * (self.price if self.side == "buy" else max(self.price, PX))

    def spends(self) -> Decimal:
        """What a purchase takes of the account's buying power."""
        return self.worst() + self.traded * PX if self.side == "buy" else Decimal(0)


class LimitMachine(RuleBasedStateMachine):
    """Orders on two accounts with tight limits; every rule is an act of the desk, of a broker, or of a risk officer."""

    def __init__(self):
        super().__init__()
        self.books: list[Broker] = []
        self.execs = 0
        self._undone = transaction.atomic()
        self._undone.__enter__()

    def teardown(self):
        transaction.set_rollback(True)
        self._undone.__exit__(None, None, None)
        rulebook.forget()

    @initialize(
        gross=st.sampled_from([11_000, 16_000, 30_000]),
        share=st.sampled_from(["0.1", "0.2", "1"]),
        symbol=st.sampled_from([None, 10_000, 17_000]),
        sector=st.sampled_from([None, 15_000]),
    )
    def limits(self, gross, share, symbol, sector):
        self._set(Control.PORTFOLIO_RISK_LIMIT, gross)
        self._set(Control.MAX_BROKER_ALLOCATION, share)
        self._set(Control.MAX_SYMBOL_EXPOSURE, symbol)
        self._set(Control.MAX_SECTOR_EXPOSURE, sector)
        self._set(Control.MAX_ORDER_QTY, 120)
        self._set(Control.MAX_ORDER_NOTIONAL, "10437")

    @rule(
        target=orders_at,
        account=st.none() | st.sampled_from(ACCOUNTS),
        symbol=st.sampled_from(SYMBOLS),
        side=st.sampled_from(["buy", "sell"]),
        qty=quantities,
        price=limit_prices,
        tif=st.sampled_from(["day", "gtc"]),
        answered=st.booleans(),
    )
    def submit_an_order(self, account, symbol, side, qty, price, tif, answered):
        body = {"symbol": symbol, "side": side, "order_qty": qty, "price": price, "time_in_force": tif}
        stopped = bool(halts_in_force())
        with self._desk_acts():
            order = submit(broker_name=account, **body)
        if order.status == "denied":
            return multiple()
        assert not stopped
        assert order.order_qty <= self._limit(Control.MAX_ORDER_QTY)
        assert order.reserved_notional <= self._limit(Control.MAX_ORDER_NOTIONAL)
        sent(order)
        self.books.append(Broker(order))
        if answered:
            self.acknowledge(self.books[-1])
        return self.books[-1]

    @rule(broker=orders_at)
    def acknowledge(self, broker):
        if not broker.ended:
            broker.known = True
            with self._broker_keeps_to_terms():
                broker.acknowledge()

    @rule(broker=orders_at, part=st.sampled_from(["1", "0.5", "0.1"]))
    def trade(self, broker, part):
        qty = (broker.working * Decimal(part)).quantize(Decimal("0.001"))
        if qty > 0 and broker.tradable:
            broker.known = True
            broker.trades.append(Trade(self._exec_id(), qty))
            with self._broker_keeps_to_terms():
                broker.fill(broker.trades[-1].exec_id, qty, PX)

    @rule(broker=orders_at, data=st.data())
    def bust(self, broker, data):
        if broker.trades:
            trade = broker.trades.pop(data.draw(st.integers(0, len(broker.trades) - 1)))
            broker.bust(self._exec_id(), trade.exec_id)

    @rule(broker=orders_at, data=st.data(), part=st.sampled_from(["0.5", "0.9", "1"]))
    def correct(self, broker, data, part):
        if broker.trades:
            trade = data.draw(st.sampled_from(broker.trades))
            trade.qty = max((trade.qty * Decimal(part)).quantize(Decimal("0.001")), Decimal("0.001"))
            broker.correct(self._exec_id(), trade.exec_id, trade.qty, PX)

    @rule(broker=orders_at, exec_type=st.sampled_from(ENDINGS))
    def broker_ends_an_order(self, broker, exec_type):
        if broker.working:
            broker.ended = broker.known = True
            with self._broker_keeps_to_terms():
                broker.tell(exec_type)

    @rule(broker=orders_at)
    def ask_for_a_cancel(self, broker):
        self._ask(lambda: request_cancel(order=broker.order, actor="tester"))

    @rule(broker=orders_at, qty=st.none() | quantities, price=st.none() | limit_prices)
    def ask_for_a_replace(self, broker, qty, price):
        if qty or price:
            changes = parse_changes({"order_qty": qty, "price": price})
            self._ask(lambda: request_replace(order=broker.order, changes=changes, actor="tester"))

    @rule(broker=orders_at)
    def broker_does_what_was_asked(self, broker):
        request = self._waiting(broker)
        if request is None or broker.ended:
            return
        with self._broker_keeps_to_terms():
            if request.kind == RequestKind.CANCEL:
                broker.ended = True
                broker.tell(ExecType.CANCELED, client_order_id=request.client_order_id)
                return
            if request.order_qty and request.order_qty <= broker.traded:
                broker.refuse(request)
                return
            broker.qty, broker.price = request.order_qty or broker.qty, request.price or broker.price
            values = {"order_qty": broker.qty, "price": broker.price}
            broker.tell(ExecType.REPLACED, client_order_id=request.client_order_id, **values)

    @rule(broker=orders_at)
    def broker_refuses_what_was_asked(self, broker):
        request = self._waiting(broker)
        if request is not None:
            with self._broker_keeps_to_terms():
                broker.refuse(request)

    @rule(account=st.sampled_from(ACCOUNTS))
    def broker_tells_its_account(self, account):
        """The broker's own figure, that counts what it knows and nothing that is still on its way."""
        spent = sum(book.spends() for book in self._of(account) if book.known)
        BrokerAccount.objects.filter(pk=account).update(buying_power=SPEND - spent, last_updated=timezone.now())

    @rule(
        control=st.sampled_from([Control.PORTFOLIO_RISK_LIMIT]), value=st.sampled_from([5_000, 11_000, 16_000, 30_000])
    )
    def risk_officer_changes_a_limit(self, control, value):
        self._set(control, value)

    @rule(account=st.sampled_from(ACCOUNTS), share=st.none() | st.sampled_from(["0.05", "0.15"]))
    def risk_officer_changes_an_accounts_share(self, account, share):
        self._set(Control.MAX_BROKER_ALLOCATION, share, Scope.ACCOUNT, account)

    @rule()
    def trading_is_halted_or_resumed(self):
        for one in halts_in_force():
            resume(halt=one, reason="found the cause", actor="ann")
            return
        halt(scope=Scope.FIRM, reason="drill", actor="ann")

    @rule()
    def every_process_is_started_again(self):
        rulebook.forget()

    @invariant()
    def books_balance(self):
        assert_books_balance()

    @invariant()
    def totals_hold_the_worst_that_brokers_may_make_of_it(self):
        gross = dict(ExposureTotal.objects.symbols().values_list("key", "gross"))
        for key, worst in self._worst_by_symbol().items():
            assert gross[key] >= worst, key

    @contextmanager
    def _desk_acts(self) -> Iterator[None]:
        """What the desk takes on stays within every limit; what is passed already does not grow."""
        before = self._measures()
        yield
        for name, (value, limit) in self._measures().items():
            assert value <= max(limit, before[name][0]), f"{name}: {value} of {limit}, before {before[name][0]}"

    @contextmanager
    def _broker_keeps_to_terms(self) -> Iterator[None]:
        """A word of the broker's within the terms of what it has takes up no more of any limit."""
        before = self._measures()
        yield
        for name, (value, _) in self._measures().items():
            assert value <= before[name][0], f"{name}: {value}, before {before[name][0]}"

    def _measures(self) -> dict[str, tuple[Decimal, Decimal]]:
        """What is used of each limit, and the limit."""
        gross = dict(
            ExposureTotal.objects.filter(symbol="").exclude(broker_name="").values_list("broker_name", "gross")
        )
        share = self._limit(Control.MAX_BROKER_ALLOCATION)
        found = {"firm": (sum(gross.values(), Decimal(0)), self._limit(Control.PORTFOLIO_RISK_LIMIT))}
        for account in ACCOUNTS:
            own = self._limit(Control.MAX_BROKER_ALLOCATION, Scope.ACCOUNT, account)
            most = min(share, share if own is None else own) * PORTFOLIO * len(ACCOUNTS)
            found[f"share of {account}"] = (gross.get(account, Decimal(0)), most)
            spent = sum((book.spends() for book in self._of(account)), Decimal(0)) + self._asked(account)
            found[f"buying power of {account}"] = (spent, SPEND)
        return found | self._of_symbols()

    def _of_symbols(self) -> dict[str, tuple[Decimal, Decimal]]:
        """What is used of the limits of each symbol, and of the one sector that all are of."""
        rows, gross = ExposureTotal.objects.symbols().values_list("symbol", "gross"), defaultdict(Decimal)
        for symbol, value in rows:
            gross[symbol] += value
        found = {"sector": (sum(gross.values(), Decimal(0)), self._limit(Control.MAX_SECTOR_EXPOSURE) or NO_LIMIT)}
        most = self._limit(Control.MAX_SYMBOL_EXPOSURE) or NO_LIMIT
        return found | {f"exposure to {symbol}": (gross[symbol], most) for symbol in SYMBOLS}

    def _asked(self, account: str) -> Decimal:
        """What replaces on their way may add to what the account spends."""
        more = Decimal(0)
        for book in self._of(account):
            request = self._waiting(book)
            if request is None or request.kind != RequestKind.REPLACE or book.ended or book.side == "sell":
                continue
            left = (request.order_qty or book.qty) - book.traded
            more += max(left * (request.price or book.price) - book.worst(), Decimal(0))
        return more

    def _worst_by_symbol(self) -> dict[str, Decimal]:
        books = defaultdict(list)
        for book in self.books:
            books[f"2:{book.account.pk}:{book.symbol}"].append(book)
        return {key: _worst_of(of_symbol) for key, of_symbol in books.items()}

    def _of(self, account: str) -> list[Broker]:
        return [book for book in self.books if book.account.pk == account]

    def _set(self, control: Control, value, scope: str = Scope.FIRM, scope_key: str = "") -> None:
        limit = LimitValue(control, None if value is None else Decimal(value), scope, scope_key)
        set_limits([limit], actor="ann", reason="the machine's")

    def _limit(self, control: Control, scope: str = Scope.FIRM, scope_key: str = "") -> Decimal | None:
        return rulebook.current_rulebook().limits.get((control, scope, scope_key, True))

    def _ask(self, ask) -> None:
        with self._desk_acts():
            try:
                request = ask()
            except DeskError:
                return
            OrderRequest.objects.filter(pk=request.pk, state=RequestState.QUEUED).update(state=RequestState.SENDING)

    def _waiting(self, broker: Broker) -> OrderRequest | None:
        return broker.order.requests.unanswered().exclude(kind=RequestKind.NEW).first()

    def _exec_id(self) -> str:
        self.execs += 1
        return f"e{self.execs}"


def _worst_of(books: list[Broker]) -> Decimal:
    """The most that a symbol's orders may come to be worth: all that is bought, or all that is sold."""
    held = sum((book.sign * book.traded for book in books), Decimal(0)) * PX
    bought = sum((book.worst() for book in books if book.side == "buy"), Decimal(0))
    sold = sum((book.worst() for book in books if book.side == "sell"), Decimal(0))
    return max(abs(held + bought), abs(held - sold))


@pytest.mark.django_db
def test_no_sequence_takes_the_desk_past_a_hard_limit():
    roomy_desk(*ACCOUNTS)
    BrokerAccount.objects.update(buying_power=SPEND, portfolio_value=PORTFOLIO, last_updated=timezone.now())
    Quote.objects.update(bid_px=PX, ask_px=PX)
    Instrument.objects.update(sector="Technology")
    examples = settings().max_examples // 5  # each is a life of many steps
    run_state_machine_as_test(LimitMachine, settings=settings(max_examples=examples, stateful_step_count=40))
