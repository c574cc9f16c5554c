"""A broker that says whatever brokers say, in any order and more than once; the books balance after each word.

`pytest --hypothesis-profile=explore tests/orders/test_order_machine.py` looks for new lives of orders.
"""

from dataclasses import dataclass, field
from decimal import Decimal

import pytest
from django.db import transaction
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from brokers.messages import ExecutionReport
from orders.changes import parse_changes, request_cancel, request_replace
from orders.models import BrokerMessage, Execution, Order, OrderRequest, Position, TradeLog
from risk.models import ExposureTotal
from tests.orders.desk import Counterparty, roomy_desk, sent, submit
from tests.orders.invariants import assert_books_balance
from tradingdesk.audit.models import AuditEvent
from tradingdesk.errors import DeskError
from tradingdesk.fix import ExecType, OrdStatus, RequestKind, RequestState

ACCOUNTS = ("alpaca", "alpaca_margin")
UNSOLICITED = (ExecType.CANCELED, ExecType.EXPIRED, ExecType.REJECTED, ExecType.DONE_FOR_DAY, ExecType.SUSPENDED)
quantities = st.one_of(st.integers(1, 60).map(Decimal), st.decimals("0.001", "60", places=3))
prices = st.decimals("90", "110", places=2)


@dataclass
class Trade:
    """A trade of the broker's and what it has said about it since; `heard` is what the desk knows of it."""

    exec_id: str
    words: list[ExecutionReport] = field(default_factory=list)
    heard: list[ExecutionReport] = field(default_factory=list)

    def standing_qty(self) -> Decimal:
        """What should count by what the desk has heard: the last correction, or nothing after a bust."""
        if not self.heard or any(word.exec_type == ExecType.TRADE_CANCEL for word in self.heard):
            return Decimal(0)
        corrections = [word for word in self.heard if word.exec_type == ExecType.TRADE_CORRECT]
        return max(corrections or self.heard, key=lambda word: word.transact_time).last_qty


class Broker(Counterparty):
    """The broker's side of one order, with what it did and what it has told."""

    def __init__(self, order: Order):
        super().__init__(order)
        self.trades: list[Trade] = []
        self.told: list[ExecutionReport] = []
        self.on_its_way: list[tuple[Trade, ExecutionReport]] = []

    def hear(self, report):
        self.told.append(report)
        return super().hear(report)

    def deliver(self, trade: Trade, report: ExecutionReport) -> None:
        """Let the desk hear a trade, bust or correction for the first time."""
        trade.heard.append(report)
        assert self.hear(report) is not None


class OrderMachine(RuleBasedStateMachine):
    """Orders on two accounts; every rule is one word of the broker or one wish of the desk."""

    brokers = Bundle("brokers")

    def __init__(self):
        super().__init__()
        self.everyone: list[Broker] = []
        self.execs = 0
        self._undone = transaction.atomic()
        self._undone.__enter__()

    def teardown(self):
        transaction.set_rollback(True)
        self._undone.__exit__(None, None, None)

    @initialize(target=brokers)
    def first_order(self):
        return self._submitted("alpaca", "buy", "100", "day")

    @rule(
        target=brokers,
        account=st.sampled_from(ACCOUNTS),
        side=st.sampled_from(["buy", "sell"]),
        qty=st.sampled_from(["40", "100", "250"]),
        tif=st.sampled_from(["day", "gtc"]),
    )
    def submit_an_order(self, account, side, qty, tif):
        return self._submitted(account, side, qty, tif)

    def _submitted(self, account, side, qty, tif):
        order = submit(broker_name=account, side=side, order_qty=qty, price="100", time_in_force=tif)
        assert order.status == "pending", order.denials
        sent(order)
        self.everyone.append(Broker(order))
        return self.everyone[-1]

    @rule(broker=brokers)
    def acknowledge(self, broker):
        broker.acknowledge()

    @rule(broker=brokers, qty=quantities, px=prices, late=st.booleans())
    def trade(self, broker, qty, px, late):
        trade = Trade(self._exec_id())
        broker.trades.append(trade)
        word = broker.report(ExecType.TRADE, exec_id=trade.exec_id, last_qty=qty, last_px=px, commission="0.35")
        self._say(broker, trade, word, late)

    @rule(broker=brokers, data=st.data(), late=st.booleans())
    def bust(self, broker, data, late):
        trade = self._some_trade(broker, data)
        if trade is None:
            return
        ref = trade.exec_id if late else data.draw(st.sampled_from(self._known_ids(trade)))
        self._say(broker, trade, broker.report(ExecType.TRADE_CANCEL, exec_id=self._exec_id(), exec_ref_id=ref), late)

    @rule(broker=brokers, data=st.data(), qty=quantities, px=prices, late=st.booleans())
    def correct(self, broker, data, qty, px, late):
        trade = self._some_trade(broker, data)
        if trade is None:
            return
        ref = trade.exec_id if late else data.draw(st.sampled_from(self._known_ids(trade)))
        facts = {"exec_id": self._exec_id(), "exec_ref_id": ref, "last_qty": qty, "last_px": px}
        self._say(broker, trade, broker.report(ExecType.TRADE_CORRECT, **facts), late)

    @rule(broker=brokers, data=st.data())
    def late_word_arrives(self, broker, data):
        if broker.on_its_way:
            number = data.draw(st.integers(0, len(broker.on_its_way) - 1))
            broker.deliver(*broker.on_its_way.pop(number))

    @rule(broker=brokers, exec_type=st.sampled_from(UNSOLICITED))
    def broker_changes_the_state_by_itself(self, broker, exec_type):
        broker.tell(exec_type, status=OrdStatus(exec_type))

    @rule(broker=brokers, qty=st.none() | st.sampled_from([60, 180]))
    def restate(self, broker, qty):
        broker.tell(ExecType.RESTATED, **({"order_qty": qty} if qty else {}))

    @rule(broker=brokers)
    def ask_for_a_cancel(self, broker):
        self._ask(broker, lambda order: request_cancel(order=order, actor="tester"))

    @rule(broker=brokers, qty=st.sampled_from(["30", "90", "300"]))
    def ask_for_a_replace(self, broker, qty):
        changes = parse_changes({"order_qty": qty})
        self._ask(broker, lambda order: request_replace(order=order, changes=changes, actor="tester"))

    @rule(broker=brokers)
    def answer_a_request_as_pending(self, broker):
        request = self._waiting(broker)
        if request is not None:
            exec_type = ExecType.PENDING_CANCEL if request.kind == RequestKind.CANCEL else ExecType.PENDING_REPLACE
            broker.tell(exec_type, client_order_id=request.client_order_id)

    @rule(broker=brokers)
    def do_what_was_asked(self, broker):
        request = self._unfinished(broker)
        if request is not None and request.kind == RequestKind.CANCEL:
            broker.tell(ExecType.CANCELED, client_order_id=request.client_order_id)
        elif request is not None:
            qty = max(request.order_qty, broker.order.cum_qty)
            broker.tell(ExecType.REPLACED, client_order_id=request.client_order_id, order_qty=qty)

    @rule(broker=brokers, status=st.none() | st.sampled_from([OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED]))
    def refuse_what_was_asked(self, broker, status):
        request = self._unfinished(broker)
        if request is not None:
            broker.refuse(request, status)

    @rule(broker=brokers, data=st.data())
    def replay_changes_nothing(self, broker, data):
        if broker.told:
            before = _all_facts()
            Counterparty.hear(broker, data.draw(st.sampled_from(broker.told[-8:])))
            assert _all_facts() == before

    @rule()
    def replay_of_every_trade_changes_nothing(self):
        before = _all_facts()
        for broker in self.everyone:
            for trade in broker.trades:
                for word in trade.heard:
                    assert Counterparty.hear(broker, word) is None
        assert _all_facts() == before

    @invariant()
    def books_balance(self):
        assert_books_balance()

    @invariant()
    def no_fill_is_lost_or_counted_twice(self):
        for broker in self.everyone:
            heard = [word.exec_id for trade in broker.trades for word in trade.heard]
            assert sorted(Execution.objects.filter(order=broker.pk).values_list("exec_id", flat=True)) == sorted(heard)
            assert broker.order.cum_qty == sum((trade.standing_qty() for trade in broker.trades), Decimal(0))

    def _exec_id(self) -> str:
        self.execs += 1
        return f"e{self.execs}"

    def _say(self, broker: Broker, trade: Trade, word: ExecutionReport, late: bool) -> None:
        trade.words.append(word)
        if late:
            broker.on_its_way.append((trade, word))
        else:
            broker.deliver(trade, word)

    def _some_trade(self, broker: Broker, data) -> Trade | None:
        return data.draw(st.sampled_from(broker.trades)) if broker.trades else None

    def _known_ids(self, trade: Trade) -> list[str]:
        """What a word that is heard at once may name: the trade itself, or a correction that was heard."""
        return [trade.exec_id, *(w.exec_id for w in trade.heard if w.exec_type == ExecType.TRADE_CORRECT)]

    def _ask(self, broker: Broker, ask) -> None:
        before = _all_facts()
        try:
            request = ask(broker.order)
        except DeskError:
            assert _all_facts() == before
        else:
            OrderRequest.objects.filter(pk=request.pk, state=RequestState.QUEUED).update(state=RequestState.SENDING)

    def _waiting(self, broker: Broker) -> OrderRequest | None:
        return broker.order.requests.unanswered().exclude(kind=RequestKind.NEW).first()

    def _unfinished(self, broker: Broker) -> OrderRequest | None:
        """A request that the broker may still do or refuse: not answered, or only said to be pending."""
        order = broker.order
        pending = {"pending_cancel": RequestKind.CANCEL, "pending_replace": RequestKind.REPLACE}.get(order.working_as)
        accepted = order.requests.filter(kind=pending, state=RequestState.ACCEPTED).last() if pending else None
        return self._waiting(broker) or accepted


def _all_facts() -> dict:
    """Everything that reports can change, to compare."""
    names = ("status", "order_qty", "cum_qty", "avg_px", "working_as", "closed_as", "reserved_qty", "reserved_notional")
    tables = {model.__name__: model.objects.count() for model in (Execution, BrokerMessage, AuditEvent, OrderRequest)}
    rows = {
        "orders": Order.objects.order_by("pk").values_list("pk", *names),
        "requests": OrderRequest.objects.order_by("pk").values_list("pk", "state"),
        "positions": Position.objects.order_by("pk").values_list("pk", "qty", "avg_px", "realized_pnl", "closed_at"),
        "logs": TradeLog.objects.order_by("pk").values_list("pk", "entry_qty", "exit_qty", "net_pnl"),
        "exposure": ExposureTotal.objects.order_by("key").values_list("key", "position_qty", "gross"),
    }
    return tables | {name: list(values) for name, values in rows.items()}


@pytest.mark.django_db
def test_books_balance_whatever_the_broker_says():
    roomy_desk(*ACCOUNTS)
    examples = settings().max_examples // 10  # each is a life of many steps
    run_state_machine_as_test(OrderMachine, settings=settings(max_examples=examples, stateful_step_count=30))
