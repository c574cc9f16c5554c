"""Comparisons as a stage: runs, the breaks they open and close, and what those block; the broker is scripted."""

from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from brokers.messages import ExecutionReport
from brokers.models import BrokerAccount
from orders import intake, tasks, wakeups
from orders.models import Order, ReconciliationBreak, ReconciliationRun
from orders.reconcile.resolution import resolve_break
from orders.reconcile.run import LOOK_AGAIN_AFTER, reconcile_account
from risk import exposure
from tests.orders.desk import submit
from tests.orders.facts import at
from tests.orders.invariants import assert_books_balance
from tests.orders.venue import events, transfer, twice, unreconciled, working
from tradingdesk.errors import Conflict
from tradingdesk.fix import ExecType, OrdStatus, RequestState, Side

pytestmark = pytest.mark.django_db


def test_first_difference_is_only_suspected_and_asks_for_another_look(venue, wakings):
    venue.holdings = {"IBM": (50, 180)}
    run = reconcile_account("alpaca")

    assert (run.complete, run.differences, run.breaks_opened) == (True, 1, 0)
    assert not ReconciliationBreak.objects.exists()
    assert wakings.of(wakeups.RECONCILE_ACCOUNT) == [("alpaca", "broker.alpaca")]
    assert LOOK_AGAIN_AFTER > 0

    assert reconcile_account("alpaca").breaks_opened == 1
    reconcile_account("alpaca")
    assert len(wakings.of(wakeups.RECONCILE_ACCOUNT)) == 1


def test_difference_that_keeps_changing_opens_nothing(venue):
    for qty in range(1, 6):
        venue.holdings = {"IBM": (qty, 180)}
        reconcile_account("alpaca")
    assert not ReconciliationBreak.objects.exists()


def test_break_is_opened_once_however_often_it_is_found_and_follows_what_is_found(venue):
    row = transfer(venue)
    twice()
    assert ReconciliationBreak.objects.count() == 1

    venue.holdings = {"IBM": (60, 180)}
    reconcile_account("alpaca")
    row.refresh_from_db()
    assert row.broker_value == "50"
    reconcile_account("alpaca")
    row.refresh_from_db()
    assert (row.broker_value, row.state) == ("60", "open")
    assert "broker=60" in unreconciled()
    assert [kind for kind, _ in events()] == ["reconcile.opened", "reconcile.blocked", "reconcile.changed"]


def test_break_keeps_its_kind_while_the_desk_trades_the_symbol(venue):
    broker = working(venue)
    row = transfer(venue)
    venue.working.clear()
    broker.fill("e1", 100, 182)
    venue.known[broker.broker_order_id] = broker.report(ExecType.ORDER_STATUS, status=OrdStatus.FILLED, cum_qty=100)
    venue.holdings, venue.cash = {"IBM": (150, 180)}, venue.cash - 18_200

    twice()

    row.refresh_from_db()
    assert (row.kind, row.state, row.desk_value, row.broker_value) == (
        "transfer_or_corporate_action",
        "open",
        "100",
        "150",
    )
    assert ReconciliationBreak.objects.count() == 1


def test_break_closes_by_itself_when_both_agree_again_and_a_new_one_may_open(venue):
    row = transfer(venue)
    assert "IBM" in unreconciled()
    venue.holdings = {}

    assert reconcile_account("alpaca").breaks_closed == 1

    row.refresh_from_db()
    assert (row.state, row.resolution, row.resolved_by) == ("resolved", "agreed", "system:reconcile")
    assert unreconciled() == ""
    assert transfer(venue).pk != row.pk


@pytest.mark.parametrize("failing", ["positions", "executions"])
def test_silence_neither_opens_nor_closes_nor_forgets(venue, failing):
    row = transfer(venue)
    venue.holdings, venue.fails = {}, {failing}

    run = twice()

    row.refresh_from_db()
    assert (row.state, run.complete, run.breaks_closed) == ("open", False, 0)
    assert "positions" in run.unread
    assert "IBM" in unreconciled()


def test_only_what_adds_exposure_is_refused_and_only_at_that_account(venue):
    transfer(venue)

    denied = submit(broker_name="alpaca")
    routed = submit()

    assert denied.status == OrdStatus.DENIED
    assert [denial["code"] for denial in denied.denials] == ["ACCOUNT_NOT_RECONCILED"]
    assert not denied.requests.exists()
    assert routed.account_id == "alpaca_margin"


@pytest.mark.parametrize("state", [RequestState.QUEUED, RequestState.SENDING, RequestState.UNKNOWN])
def test_order_with_a_request_on_its_way_is_not_compared(venue, state):
    broker = working(venue)
    venue.working.clear()
    broker.order.requests.update(state=state)

    assert twice().differences == 0
    assert not ReconciliationBreak.objects.exists()


def test_order_acknowledged_while_the_broker_is_asked_is_not_compared(venue):
    broker = working(venue)
    venue.working.clear()
    Order.objects.filter(pk=broker.pk).update(acknowledged_at=timezone.now() + timedelta(seconds=5))

    assert twice().differences == 0


def test_order_in_an_unlisted_symbol_is_a_break_until_it_ends(venue):
    stranger = ExecutionReport(
        ExecType.ORDER_STATUS, "B-77", at(1), status=OrdStatus.NEW, symbol="XYZ", side=Side.BUY, order_qty=Decimal(5)
    )
    venue.working = [stranger]
    twice()
    row = ReconciliationBreak.objects.get()
    assert (row.kind, row.key, row.symbol, row.order) == ("order_unknown_here", "B-77", "XYZ", None)
    with pytest.raises(Conflict, match="NOTHING_TO_ACCEPT"):
        resolve_break(row=row, take="accept", reason="mine", actor="rita")

    venue.working = []
    assert reconcile_account("alpaca").breaks_closed == 1
    assert unreconciled() == ""


def test_missed_fill_of_an_order_of_ours_is_booked_by_the_run(venue):
    broker = working(venue)
    venue.working.clear()
    venue.trades = [broker.report(ExecType.TRADE, exec_id="e1", last_qty=100, last_px=182, cum_qty=100)]
    venue.known[broker.broker_order_id] = broker.report(ExecType.ORDER_STATUS, status=OrdStatus.FILLED, cum_qty=100)
    venue.holdings, venue.cash = {"IBM": (100, 182)}, venue.cash - 18_200

    run = reconcile_account("alpaca")

    assert (run.fills_repaired, run.differences) == (1, 0)
    assert broker.order.status == OrdStatus.FILLED
    assert twice().differences == 0
    assert_books_balance()


def test_fill_that_the_orders_total_shows_but_no_list_has_is_said_and_blocks_through_the_position(venue):
    broker = working(venue, cum_qty=100)
    venue.holdings, venue.cash = {"IBM": (100, 182)}, venue.cash - 18_200
    twice()

    found = {row.kind: row.safe for row in ReconciliationBreak.objects.all()}
    assert found == {"fill_missing": True, "transfer_or_corporate_action": False, "cash": False}
    assert "fill_missing" not in unreconciled()
    assert broker.order.cum_qty == 0


def test_run_that_another_overtook_is_dropped(venue, monkeypatch):
    venue.holdings = {"IBM": (50, 180)}
    real = venue.positions

    def overtaken():
        monkeypatch.setattr(venue, "positions", real)
        reconcile_account("alpaca")
        return real()

    monkeypatch.setattr(venue, "positions", overtaken)
    before = ReconciliationRun.objects.count()
    assert reconcile_account("alpaca") is None
    assert ReconciliationRun.objects.count() == before + 1
    assert not ReconciliationBreak.objects.exists()


def test_every_enabled_account_is_compared_by_its_own_worker(venue, wakings):
    BrokerAccount.objects.filter(pk="alpaca_margin").update(enabled=False)
    tasks.dispatch_reconciliations()
    assert wakings.of(wakeups.RECONCILE_ACCOUNT) == [("alpaca", "broker.alpaca")]


def test_flapping_stream_is_compared_at_most_every_few_seconds(venue):
    before = ReconciliationRun.objects.count()
    tasks.reconcile_account("alpaca")
    assert ReconciliationRun.objects.count() == before

    tasks.reconcile_account("alpaca_margin")
    assert ReconciliationRun.objects.count() == before + 1


def test_break_that_opens_while_an_order_is_being_read_refuses_it(venue, monkeypatch):
    def opened_meanwhile(market, ticket):
        transfer(venue)
        return market

    monkeypatch.setattr(intake, "with_prices", opened_meanwhile)

    order = submit(broker_name="alpaca")

    assert (order.status, order.denials[0]["code"]) == (OrdStatus.DENIED, "ACCOUNT_NOT_RECONCILED")
    assert_books_balance()


def test_closing_order_passes_at_an_account_with_a_break(venue):
    broker = working(venue)
    venue.working.clear()
    broker.fill("e1", 100, 182)
    exposure.note_unreconciled("alpaca", "cash cash: desk=1, broker=2")

    assert submit(broker_name="alpaca", side="sell", order_qty="100", price="182.00").status == OrdStatus.PENDING
    assert submit(broker_name="alpaca", order_qty="1").status == OrdStatus.DENIED


def test_command_has_the_worker_compare_where_that_holds_the_connection(venue, wakings, monkeypatch, capsys):
    holder = SimpleNamespace(capabilities=SimpleNamespace(connectionless=False))
    monkeypatch.setattr("orders.management.commands.reconcile.adapter_class", lambda name: holder)
    monkeypatch.setattr(wakeups, "wake", lambda task, name, **timing: reconcile_account(name))
    call_command("reconcile", broker="alpaca")
    assert "desk and brokers agree" in capsys.readouterr().out

    monkeypatch.setattr(wakeups, "wake", lambda *args, **timing: None)
    monkeypatch.setattr("orders.management.commands.reconcile.WORKER_WITHIN", 0)
    monkeypatch.setattr("orders.management.commands.reconcile.LOOK_AGAIN_AFTER", 0)
    with pytest.raises(CommandError) as caught:
        call_command("reconcile", broker="alpaca")
    assert caught.value.returncode == 1
    assert "broker.alpaca" in capsys.readouterr().out
