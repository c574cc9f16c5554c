"""Reading accounts: what is due, who reads, what a failure changes, and what is made of what is read."""

import threading
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest
from django.utils import timezone

from brokers import market
from brokers.messages import OutcomeUnknown, TryLater
from brokers.models import BrokerAccount, Instrument
from orders import sync, wakeups
from orders.changes import parse_changes, request_replace
from orders.models import Execution, Order, TradeLog
from risk.limits import LimitValue, set_limits
from risk.models import Control
from tests import factories
from tests.orders.desk import Counterparty, submit
from tests.orders.facts import at, report
from tests.orders.invariants import assert_books_balance
from tradingdesk.fix import ExecType, OrdStatus, RequestKind, RequestState, Side

WITHIN = 30


class Venue:
    """A broker account that tells what a test gives it, and keeps what it was asked."""

    def __init__(self):
        self.asked: list[str] = []
        self.fails: dict[str, Exception] = {}
        self.trades, self.working, self.orders = [], [], {}

    def executions(self, *, after_id=""):
        self._asked("executions")
        return self.trades

    def open_orders(self):
        self._asked("orders")
        return self.working

    def read_order(self, broker_order_id):
        self.asked.append(f"order {broker_order_id}")
        return self.orders.get(broker_order_id)

    def note(self, what):
        return lambda *args: self._asked(what)

    def _asked(self, what):
        self.asked.append(what)
        if what in self.fails:
            raise self.fails[what]


@pytest.fixture
def venue(desk, monkeypatch) -> Venue:
    """The venue of the account alpaca, whose reading begins anew."""
    told = Venue()
    monkeypatch.setattr(sync, "_readers", {})
    monkeypatch.setattr(sync, "gateway_for", lambda account: told)
    monkeypatch.setattr(market, "sync_instruments", told.note("instruments"))
    monkeypatch.setattr(market, "sync_account_figures", told.note("figures"))
    monkeypatch.setattr(sync, "refresh_prices", told.note("quotes"))
    BrokerAccount.objects.update(instruments_synced_at=timezone.now())
    return told


def account() -> BrokerAccount:
    return BrokerAccount.objects.get(pk="alpaca")


def fill_of(broker_order_id: str, exec_id: str, qty=4):
    traded = report(ExecType.TRADE, seconds=5, broker_order_id=broker_order_id, client_order_id="")
    return replace(traded, exec_id=exec_id, last_qty=Decimal(qty), last_px=Decimal("182.45"), side=Side.BUY)


def strangers_order(**facts):
    told = report(ExecType.ORDER_STATUS, seconds=4, broker_order_id="B-9", client_order_id="", status=OrdStatus.NEW)
    return replace(told, symbol="IBM", side=Side.BUY, order_qty=Decimal(10), price=Decimal("182.4"), **facts)


def test_second_round_right_after_the_first_reads_nothing(venue):
    assert sync.sync_account("alpaca")
    assert venue.asked == ["executions", "orders", "figures", "quotes"]
    venue.asked.clear()
    assert sync.sync_account("alpaca")
    assert venue.asked == []


@pytest.mark.parametrize("reads", [wakeups.MOVED, wakeups.TRADED])
def test_what_is_asked_for_is_read_whether_due_or_not(venue, reads):
    sync.sync_account("alpaca")
    venue.asked.clear()
    sync.sync_account("alpaca", reads=reads)
    assert venue.asked == list(reads)


def test_account_that_a_stream_tells_about_is_read_seldom_until_the_stream_is_lost(venue):
    submit(broker_name="alpaca")
    sync.sync_account("alpaca")
    reader = sync._readers["alpaca"]
    reader.read_at["executions"] = reader.read_at["orders"] = timezone.now() - sync.ORDERS_EVERY
    venue.asked.clear()

    sync.note_stream("alpaca", is_open=True)
    sync.sync_account("alpaca")
    assert (sync.hears("alpaca"), venue.asked) == (True, [])

    sync.note_stream("alpaca", is_open=False)
    sync.sync_account("alpaca")
    assert (sync.hears("alpaca"), venue.asked) == (False, ["executions", "orders"])


def test_thorough_round_reads_everything(venue):
    sync.sync_account("alpaca")
    venue.asked.clear()
    sync.sync_account("alpaca", thorough=True)
    assert venue.asked == ["instruments", "executions", "orders", "figures", "quotes"]


def test_failed_read_is_made_again_at_the_next_round_and_the_others_are_made(venue, caplog):
    venue.fails = {"orders": OutcomeUnknown("no answer")}
    assert not sync.sync_account("alpaca")
    assert not sync.sync_account("alpaca")
    assert venue.asked == ["executions", "orders", "figures", "quotes", "orders"]
    assert [record.getMessage() for record in caplog.records] == ["alpaca: reading orders failed: no answer"]
    venue.fails = {}
    assert sync.sync_account("alpaca")
    assert caplog.records[-1].getMessage() == "alpaca: reading orders works again"


def test_broker_that_asks_for_a_pause_gets_it(venue):
    venue.fails = {"executions": TryLater("too many requests", retry_after=60)}
    assert not sync.sync_account("alpaca")
    assert not sync.sync_account("alpaca", reads=wakeups.MOVED)
    assert venue.asked == ["executions"]


def test_mistake_of_ours_does_not_stop_the_account_from_being_read(venue):
    venue.fails = {"figures": ZeroDivisionError()}
    with pytest.raises(ZeroDivisionError):
        sync.sync_account("alpaca")
    venue.fails, venue.asked = {}, []
    assert sync.sync_account("alpaca")
    assert venue.asked == ["figures", "quotes"]


def test_who_asks_during_a_round_returns_at_once_and_is_answered_by_another_round(monkeypatch):
    rounds, in_first, go_on = [], threading.Event(), threading.Event()

    def read(account, reader, thorough):
        rounds.append(reader.take_asked())
        in_first.set()
        assert go_on.wait(WITHIN)
        return True

    monkeypatch.setattr(sync, "_readers", {})
    monkeypatch.setattr(sync, "_read_due", read)
    monkeypatch.setattr(sync, "BrokerAccount", SimpleNamespace(objects=SimpleNamespace(get=lambda pk: pk)))
    first = threading.Thread(target=sync.sync_account, args=("alpaca",), daemon=True)
    first.start()
    assert in_first.wait(WITHIN)
    for _ in range(3):
        assert sync.sync_account("alpaca", reads=wakeups.TRADED)
    assert rounds == [set()]
    go_on.set()
    first.join(WITHIN)
    assert rounds == [set(), {"executions"}]


def test_wake_ups_for_one_account_in_the_same_moment_are_one(monkeypatch, wakings):
    clock = SimpleNamespace(monotonic=lambda: 100.01)
    monkeypatch.setattr(wakeups, "time", clock)
    monkeypatch.setattr(wakeups, "_last_slot", {})
    for name in ("alpaca", "alpaca", "alpaca_margin", "alpaca"):
        wakeups.sync_soon(name, countdown=0.25)
    assert [queue for _, _, queue in wakings.sent] == ["broker.alpaca", "broker.alpaca_margin"]
    clock.monotonic = lambda: 100.01 + wakeups.SYNC_SLOT
    wakeups.sync_soon("alpaca", countdown=0.25)
    assert [queue for _, _, queue in wakings.sent].count("broker.alpaca") == 2


def test_wake_up_never_comes_before_it_was_asked_for(monkeypatch):
    sent = []
    monkeypatch.setattr(wakeups, "time", SimpleNamespace(monotonic=lambda: 100.07))
    monkeypatch.setattr(wakeups, "_last_slot", {})
    monkeypatch.setattr(wakeups, "wake", lambda *args, **timing: sent.append(timing))
    wakeups.sync_soon("alpaca", countdown=0.25)
    assert 0.25 <= sent[0]["countdown"] < 0.25 + wakeups.SYNC_SLOT


def test_executions_are_applied_once_and_the_next_read_begins_behind_them(venue, wakings):
    venue.orders = {"B-9": strangers_order()}
    venue.trades = [fill_of("B-9", "t-1"), fill_of("B-9", "t-2")]
    assert sync.sync_executions(account()) == 2
    assert sync.sync_executions(account()) == 0
    assert account().executions_cursor == "t-2"
    order = Order.objects.get()
    assert (order.source, order.cum_qty, Execution.objects.count()) == ("external", 8, 2)


def test_commission_that_was_not_known_when_the_trade_was_stored_is_booked_once(venue, wakings):
    venue.orders = {"B-9": strangers_order()}
    venue.trades = [fill_of("B-9", "t-1"), fill_of("B-9", "t-2")]
    sync.sync_executions(account())
    venue.trades = [replace(trade, commission=Decimal("0.35")) for trade in venue.trades]

    assert [sync.sync_executions(account()) for _ in range(2)] == [2, 0]

    late = Execution.objects.filter(exec_ref_id="t-1").get()
    assert (late.exec_id, late.commission, late.last_qty) == ("t-1+commission", Decimal("0.35"), 4)
    assert (Order.objects.get().cum_qty, TradeLog.objects.get().commission) == (8, Decimal("0.7"))
    assert account().executions_cursor == "t-2"
    assert_books_balance()


def test_order_that_the_broker_lists_no_more_is_read_by_its_id(venue, wakings):
    venue.orders = {"B-9": strangers_order()}
    venue.working = [strangers_order()]
    sync.sync_orders(account())
    venue.working = []
    ended = strangers_order(transact_time=at(9))
    venue.orders = {"B-9": replace(ended, status=OrdStatus.CANCELED)}
    sync.sync_orders(account())
    assert Order.objects.get().status == "canceled"


def test_no_answer_about_an_order_changes_nothing(venue, wakings):
    venue.orders = {"B-9": strangers_order()}
    venue.working = [strangers_order()]
    sync.sync_orders(account())
    venue.working, venue.orders = [], {}
    sync.sync_orders(account())
    assert Order.objects.get().status == "new"


def replaced_order(venue) -> Counterparty:
    """An order B-1 whose replacement B-2 took over and then ended, of which the desk heard nothing."""
    broker = Counterparty(submit(broker_name="alpaca", client_order_id="X"), "B-1")
    broker.acknowledge()
    request_replace(order=broker.order, changes=parse_changes({"order_qty": "150"}), actor="ann")
    broker.tell(ExecType.PENDING_REPLACE, client_order_id="X-R1", status=OrdStatus.PENDING_REPLACE)
    facts = {"exec_type": ExecType.ORDER_STATUS, "order_qty": Decimal(150)}
    old = report(seconds=20, broker_order_id="B-1", client_order_id="X", **facts)
    new = report(seconds=30, broker_order_id="B-2", client_order_id="X-R1", **facts)
    venue.orders = {
        "B-1": replace(old, status=OrdStatus.REPLACED, replaced_by="B-2"),
        "B-2": replace(new, status=OrdStatus.REJECTED, replaces="B-1", text="no more"),
    }
    return broker


@pytest.mark.parametrize("rejection_heard", [False, True])
def test_replacement_that_took_over_unheard_and_was_rejected_later_closes_the_order(venue, wakings, rejection_heard):
    broker = replaced_order(venue)
    if rejection_heard:
        sync.apply_any(account(), venue, replace(venue.orders["B-2"], exec_type=ExecType.REJECTED))
        assert broker.order.status == "new"

    sync.sync_orders(account())

    order = broker.order
    request = order.requests.get(kind=RequestKind.REPLACE)
    assert (order.status, order.broker_order_id, order.text) == ("rejected", "B-2", "no more")
    assert (request.state, order.order_qty, order.reserved_qty) == (RequestState.ACCEPTED, 150, 0)
    assert_books_balance()


def test_replacements_of_replacements_that_took_over_unheard_are_followed_to_the_last(venue, wakings):
    broker = replaced_order(venue)
    middle = replace(venue.orders["B-2"], status=OrdStatus.REPLACED, replaced_by="B-3", text="")
    last = replace(middle, broker_order_id="B-3", client_order_id="X-R2", replaced_by=None, transact_time=at(40))
    venue.orders |= {"B-2": middle, "B-3": replace(last, status=OrdStatus.CANCELED)}
    broker.refuse(broker.order.requests.get(client_order_id="X-R1"), OrdStatus.NEW)
    request_replace(order=broker.order, changes=parse_changes({"order_qty": "160"}), actor="ann")

    sync.sync_orders(account())

    assert (broker.order.status, broker.order.broker_order_id) == ("canceled", "B-3")
    assert_books_balance()


def test_order_that_somebody_replaced_at_the_broker_is_closed_and_the_successor_adopted(venue, wakings):
    broker = Counterparty(submit(broker_name="alpaca", client_order_id="X"), "B-1")
    broker.acknowledge()
    broker.fill("e1", 30)
    old = report(ExecType.ORDER_STATUS, seconds=20, broker_order_id="B-1", client_order_id="X")
    successor = replace(strangers_order(), client_order_id="by-hand", replaces="B-1", transact_time=at(20))
    venue.orders = {"B-1": replace(old, status=OrdStatus.REPLACED, replaced_by="B-9"), "B-9": successor}

    sync.sync_orders(account())

    adopted = Order.objects.get(broker_order_id="B-9")
    assert (broker.order.status, broker.order.cum_qty, broker.order.reserved_qty) == ("replaced", 30, 0)
    assert (adopted.source, adopted.status, adopted.reserved_qty) == ("external", "new", 10)
    assert_books_balance()


def test_rejected_replacement_leaves_the_order_that_was_never_replaced(venue, wakings):
    broker = replaced_order(venue)
    venue.orders["B-1"] = replace(venue.orders["B-1"], status=OrdStatus.NEW, replaced_by=None)

    sync.sync_orders(account())

    assert (broker.order.status, broker.order.broker_order_id, broker.order.order_qty) == ("new", "B-1", 100)
    assert_books_balance()


def test_order_in_a_symbol_that_is_not_listed_is_passed_over_and_told(venue, wakings, caplog):
    venue.orders = {"B-8": replace(strangers_order(), broker_order_id="B-8", symbol="XYZ260116C00100000")}
    venue.orders["B-9"] = strangers_order()
    venue.trades = [fill_of("B-8", "t-1"), fill_of("B-9", "t-2")]
    assert sync.sync_executions(account()) == 1
    assert account().executions_cursor == "t-2"
    assert "XYZ260116C00100000" in caplog.text


def test_prices_are_wanted_of_what_is_held_working_or_lately_asked_for(venue, wakings, monkeypatch):
    assert sync.wanted_symbols(account()) == set()
    Instrument.objects.filter(symbol="BAC").update(quotes_wanted_at=timezone.now())
    venue.working = venue.orders["B-9"] = [strangers_order()]
    venue.orders = {"B-9": strangers_order()}
    sync.sync_orders(account())
    assert sync.wanted_symbols(account()) == {"BAC", "IBM"}
    Instrument.objects.update(quotes_wanted_at=timezone.now() - sync.QUOTES_WANTED_FOR - timedelta(seconds=1))
    assert sync.wanted_symbols(account()) == {"IBM"}


def test_daily_bars_are_read_of_what_is_held_anywhere_and_lately_asked_for(venue, monkeypatch):
    asked = []
    monkeypatch.setattr(sync.bars, "sync_daily_bars", lambda account, symbols: asked.append((account.pk, set(symbols))))
    sync.sync_account("alpaca")
    assert asked == []
    Instrument.objects.filter(symbol="BAC").update(quotes_wanted_at=timezone.now())
    factories.PositionFactory(account=factories.BrokerAccountFactory(broker_name="alpaca_margin"))
    sync._reader("alpaca").read_at.pop("bars")
    sync.sync_account("alpaca")
    assert asked == [("alpaca", {"BAC", "IBM"})]


def test_daily_bars_that_cannot_be_read_do_not_make_the_account_unread(venue, monkeypatch):
    def fails(account):
        raise OutcomeUnknown("no bars today")

    monkeypatch.setattr(sync, "refresh_bars", fails)
    assert sync.sync_account("alpaca")
    assert sync._reader("alpaca").failing["bars"] == "no bars today"


def test_clock_is_read_now_and_then_while_a_limit_in_force_asks_for_it_and_else_never(venue, monkeypatch):
    monkeypatch.setattr(market, "sync_clock", venue.note("clock"))
    sync.sync_account("alpaca")
    assert "clock" not in venue.asked

    set_limits([LimitValue(Control.SESSION_ONLY, Decimal(1))], actor="rita", reason="no orders at night")
    sync._readers.clear()
    sync.sync_account("alpaca")
    sync.sync_account("alpaca")

    assert venue.asked.count("clock") == 1
