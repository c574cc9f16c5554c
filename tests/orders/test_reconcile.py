"""Comparisons as a stage: runs, breaks, what they block, and how people end them; the broker is scripted."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from brokers.messages import AccountState, ExecutionReport, OutcomeUnknown, PositionState
from brokers.models import BrokerAccount
from orders import intake, sync, tasks, wakeups
from orders.models import (
    Execution,
    Order,
    Position,
    ReconciliationBreak,
    ReconciliationMemory,
    ReconciliationRun,
)
from orders.reconcile import breaks, reading
from orders.reconcile.resolution import resolve_break
from orders.reconcile.run import LOOK_AGAIN_AFTER, reconcile_account
from risk import exposure
from tests.admin.conftest import signed_in
from tests.api.conftest import with_token
from tests.factories import member_of
from tests.orders.desk import Counterparty, submit
from tests.orders.facts import at
from tests.orders.invariants import assert_books_balance
from tradingdesk.audit.models import AuditEvent
from tradingdesk.errors import Conflict, InvalidInput
from tradingdesk.fix import ExecType, OrdStatus, RequestState, Side

pytestmark = pytest.mark.django_db


@dataclass
class Venue:
    """A broker account whose answers are what a test puts here; `fails` names what it does not answer."""

    cash: Decimal = Decimal(1_000_000)
    holdings: dict = field(default_factory=dict)
    working: list = field(default_factory=list)
    known: dict = field(default_factory=dict)
    trades: list = field(default_factory=list)
    fails: set = field(default_factory=set)

    def executions(self, *, after=None, after_id=""):
        return self._answer("executions", self.trades)

    def open_orders(self):
        return self._answer("orders", self.working)

    def read_order(self, broker_order_id):
        return self._answer("order", self.known.get(broker_order_id))

    def positions(self):
        rows = [PositionState(symbol, Decimal(qty), Decimal(px)) for symbol, (qty, px) in self.holdings.items()]
        return self._answer("positions", rows)

    def account(self):
        figures = dict.fromkeys(("equity", "portfolio_value", "buying_power"), Decimal(1_000_000))
        return self._answer("account", AccountState("PA1", "USD", self.cash, as_of=timezone.now(), **figures))

    def _answer(self, what, answer):
        if what in self.fails:
            raise OutcomeUnknown(f"no answer about {what}")
        return answer


@pytest.fixture
def venue(desk, wakings, monkeypatch) -> Venue:
    """The venue of the account alpaca, with which the desk agrees."""
    told = Venue()
    monkeypatch.setattr(sync, "gateway_for", lambda account: told)
    monkeypatch.setattr(reading, "gateway_for", lambda account: told)
    reconcile_account("alpaca")
    return told


def twice() -> ReconciliationRun:
    reconcile_account("alpaca")
    return reconcile_account("alpaca")


def transfer(venue: Venue, **holdings) -> ReconciliationBreak:
    """Shares come in that no trade explains, and two runs see them."""
    venue.holdings |= holdings or {"IBM": (50, 180)}
    twice()
    return ReconciliationBreak.objects.latest("id")


def unreconciled() -> str:
    return BrokerAccount.objects.get(pk="alpaca").unreconciled


def events() -> list[tuple[str, str]]:
    rows = AuditEvent.objects.filter(kind__startswith="reconcile.").order_by("id")
    return [(row.kind, row.actor) for row in rows]


def working(venue: Venue, **facts) -> Counterparty:
    """An order of the desk's that works at the venue."""
    broker = Counterparty(submit(broker_name="alpaca"))
    broker.acknowledge()
    Order.objects.filter(pk=broker.pk).update(acknowledged_at=at(1))
    venue.working.append(broker.report(ExecType.ORDER_STATUS, status=OrdStatus.NEW, **facts))
    return broker


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


def test_cash_that_no_trade_explains_is_a_break_and_resolving_moves_the_starting_point(venue):
    venue.cash -= 500
    twice()
    row = ReconciliationBreak.objects.get()
    assert (row.kind, row.desk_value, row.broker_value) == ("cash", "1000000", "999500")

    resolve_break(row=row, take="keep", reason="annual fee", actor="rita")

    assert unreconciled() == ""
    assert twice().differences == 0
    assert ReconciliationMemory.objects.get().cash == Decimal(999_500)


def test_fees_within_the_allowance_are_no_break_and_do_not_add_up(venue):
    for _ in range(5):
        venue.cash -= 60
        assert reconcile_account("alpaca").differences == 0
    assert ReconciliationMemory.objects.get().cash == venue.cash


def uncharged_trade(account_adapter: str, *, hours_ago: float) -> Counterparty:
    """A trade that no commission was told of, at an account of this adapter."""
    BrokerAccount.objects.filter(pk="alpaca").update(adapter=account_adapter)
    broker = Counterparty(submit(broker_name="alpaca"))
    broker.acknowledge()
    told = broker.report(ExecType.TRADE, exec_id="T1", last_qty=100, last_px=182, status=OrdStatus.FILLED)
    broker.hear(replace(told, transact_time=timezone.now() - timedelta(hours=hours_ago)))
    return broker


def test_commission_that_was_never_told_is_a_break_that_blocks_nothing_and_ends_with_its_telling(venue):
    broker = uncharged_trade("interactive_brokers", hours_ago=26)
    venue.holdings, venue.cash = {"IBM": (100, 182)}, venue.cash - 18_200
    twice()
    row = ReconciliationBreak.objects.get()
    assert (row.kind, row.key, row.symbol, row.desk_value) == ("commission", "T1", "IBM", "not told")
    assert unreconciled() == ""

    broker.correct("T1+commission", "T1", 100, 182, commission="1.25")
    reconcile_account("alpaca")
    row.refresh_from_db()
    assert row.resolution == row.Resolution.AGREED


def test_commission_break_is_kept_as_it_is_once_somebody_noted_it(venue):
    uncharged_trade("interactive_brokers", hours_ago=26)
    venue.holdings, venue.cash = {"IBM": (100, 182)}, venue.cash - 18_200
    twice()
    resolve_break(row=ReconciliationBreak.objects.get(), take="keep", reason="1.25, by the statement", actor="rita")
    twice()
    assert ReconciliationBreak.objects.count() == 1


@pytest.mark.parametrize(("adapter", "hours_ago"), [("interactive_brokers", 22), ("alpaca", 26)])
def test_trade_that_has_no_commission_yet_or_never_gets_one_is_no_break(venue, adapter, hours_ago):
    uncharged_trade(adapter, hours_ago=hours_ago)
    venue.holdings, venue.cash = {"IBM": (100, 182)}, venue.cash - 18_200
    twice()
    assert not ReconciliationBreak.objects.exists()


def test_adjustment_brings_the_brokers_quantity_and_price_and_no_profit(venue):
    row = transfer(venue)

    resolve_break(row=row, take="accept", reason="ACATS in", actor="rita")

    position = Position.objects.get()
    assert (position.qty, position.avg_px, position.realized_pnl) == (50, 180, 0)
    order = Order.objects.get(source="adjustment")
    assert (order.status, order.reserved_qty, order.requests.count()) == (OrdStatus.FILLED, 0, 0)
    assert Execution.objects.get().raw["reason"] == "ACATS in"
    assert twice().differences == 0
    assert unreconciled() == ""
    assert_books_balance()


def test_kept_difference_opens_no_break_again_until_it_changes(venue):
    row = transfer(venue)
    resolve_break(row=row, take="keep", reason="they will take it back", actor="rita")
    assert unreconciled() == ""

    twice()
    assert ReconciliationBreak.objects.count() == 1
    assert not Execution.objects.exists()

    assert transfer(venue, IBM=(70, 180)).broker_value == "70"
    assert ReconciliationBreak.objects.filter(state="open").count() == 1


@pytest.mark.parametrize(("take", "reason", "code"), [("accept", " ", "REASON_REQUIRED"), ("", "x", "INVALID_CHOICE")])
def test_resolution_needs_a_decision_and_a_reason(venue, take, reason, code):
    row = transfer(venue)
    with pytest.raises(InvalidInput, match=code):
        resolve_break(row=row, take=take, reason=reason, actor="rita")
    row.refresh_from_db()
    assert row.is_open


def test_second_resolution_is_a_conflict_and_books_nothing(venue):
    row = transfer(venue)
    resolve_break(row=row, take="accept", reason="first", actor="rita")
    with pytest.raises(Conflict, match="ALREADY_RESOLVED"):
        resolve_break(row=row, take="accept", reason="second", actor="sam")
    assert Execution.objects.count() == 1


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


def test_owner_is_recorded(venue):
    row, rita = transfer(venue), member_of("risk officer")
    with transaction.atomic():
        breaks.assign(row, owner=rita, actor=rita.username)
    assert events()[-1] == ("reconcile.assigned", rita.username)


def test_api_lists_breaks_and_resolves_for_those_who_may(venue):
    row = transfer(venue)
    path = f"/api/v1/reconciliation/breaks/{row.pk}/resolve/"
    viewer, officer = with_token(member_of("viewer")), with_token(member_of("risk officer"))

    (listed,) = viewer.get("/api/v1/reconciliation/breaks/?state=open").json()["results"]
    shown = {name: listed[name] for name in ("broker_name", "kind", "desk_value", "broker_value", "safe", "state")}
    assert shown == {
        "broker_name": "alpaca",
        "kind": "transfer_or_corporate_action",
        "desk_value": "0",
        "broker_value": "50",
        "safe": False,
        "state": "open",
    }
    assert _post(viewer, path, take="accept", reason="x") == (403, "PERMISSION_DENIED")
    assert _post(officer, path, take="accept") == (400, "REASON_REQUIRED")
    assert _post(officer, path, take=1, reason="x") == (400, "INVALID_TYPE")
    assert _post(officer, path, decision="accept") == (400, "UNKNOWN_FIELD")
    assert _post(officer, path, take="accept", reason="ACATS")[0] == 200
    assert _post(officer, path, take="accept", reason="ACATS") == (409, "ALREADY_RESOLVED")
    assert _post(officer, "/api/v1/reconciliation/breaks/987654/resolve/", take="keep", reason="x")[0] == 404
    row.refresh_from_db()
    assert row.resolution == "accepted"


def _post(client: APIClient, path: str, **body) -> tuple[int, str | None]:
    answer = client.post(path, body, format="json")
    return answer.status_code, answer.json().get("code")


def test_back_office_resolves_with_a_reason_and_shows_errors_in_the_form(venue):
    row, officer = transfer(venue), member_of("risk officer")
    officer.is_staff = True
    officer.save()
    client = signed_in(officer)
    page = reverse("admin:orders_reconciliationbreak_change", args=[row.pk])

    assert "broker=50" in client.get(page).content.decode()
    assert client.post(page, {"take": "accept", "reason": ""}).status_code == 200
    row.refresh_from_db()
    assert row.is_open

    listing = reverse("admin:orders_reconciliationbreak_changelist")
    client.post(listing, {"action": "take_over", "_selected_action": [row.pk]})
    row.refresh_from_db()
    assert row.owner == officer

    assert client.post(page, {"take": "accept", "reason": "ACATS in"}).status_code == 302
    row.refresh_from_db()
    assert (row.state, row.resolved_by, row.reason) == ("resolved", officer.username, "ACATS in")
    assert "resolved" in client.get(listing).content.decode()


def test_back_office_lets_nobody_resolve_without_the_permission(venue):
    row, viewer = transfer(venue), member_of("viewer")
    viewer.is_staff = True
    viewer.save()
    client = signed_in(viewer)
    page = reverse("admin:orders_reconciliationbreak_change", args=[row.pk])

    assert client.get(page).status_code == 200
    assert client.post(page, {"take": "accept", "reason": "mine now"}).status_code == 403
    row.refresh_from_db()
    assert row.is_open
