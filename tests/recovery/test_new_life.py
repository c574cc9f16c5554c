"""What a restore makes of a database from the past: ids, what waited to be sent, who may trade, and when again."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from django.utils import timezone

from brokers.models import AccountLease, BrokerAccount, Instrument
from orders import ids, sending, sync
from orders.changes import Changes, request_cancel, request_replace
from orders.ids import begin_epoch, new_client_order_id, next_request_id, restore_epoch
from orders.models import DeskState, Order, OrderRequest
from orders.reconcile import reading
from orders.reconcile.after_restore import RESTORE
from orders.reconcile.run import reconcile_account
from orders.restore.life import BEFORE, begin_new_life
from risk.halts import halt, resume
from risk.models import ExposureTotal, Halt
from tests.factories import QuoteFactory
from tests.orders.conftest import desk, wakings  # noqa: F401
from tests.orders.desk import Counterparty, roomy_desk, submit
from tests.orders.invariants import assert_books_balance
from tests.orders.venue import Venue
from tradingdesk.audit.models import AuditEvent
from tradingdesk.config.record import load
from tradingdesk.fix import ExecType, OrdStatus, RequestKind, RequestState

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _epochs_are_read_anew():
    restore_epoch.cache_clear()
    yield
    restore_epoch.cache_clear()


@pytest.fixture
def venue(desk, wakings, monkeypatch) -> Venue:  # noqa: F811
    """Both accounts' broker, with which the desk agrees."""
    told = Venue()
    monkeypatch.setattr(sync, "gateway_for", lambda account: told)
    monkeypatch.setattr(reading, "gateway_for", lambda account: told)
    for name in BrokerAccount.objects.values_list("pk", flat=True):
        reconcile_account(name)
    return told


def restored() -> int:
    with transaction.atomic():
        return begin_new_life(actor="ann", origin="restored from the backup of then", facts={"backup": "b.zip"})


def denied(**body) -> list[str]:
    order = submit(**body)
    return [denial["code"] for denial in order.denials]


def request_of(order: Order) -> OrderRequest:
    return order.requests.get(kind=RequestKind.NEW)


def test_ids_of_two_lives_from_one_backup_differ_for_one_order_and_one_number(desk, monkeypatch):  # noqa: F811
    first = next_request_id("mine", "R", 1)
    made = {first}
    for second in (100, 101, 5_000_000):
        DeskState.objects.update(restore_epoch=1)  # the same backup again
        monkeypatch.setattr(ids.time, "time", lambda second=second: ids._EPOCHS_BEGAN + second)
        begin_epoch()
        made |= {next_request_id("mine", "R", 1), next_request_id("mine", "R", 2)}
    assert first == "mine-R1"
    assert len(made) == 7


def test_epoch_goes_up_also_when_the_clock_went_back(desk, monkeypatch):  # noqa: F811
    DeskState.objects.update_or_create(pk=1, defaults={"restore_epoch": 900})
    monkeypatch.setattr(ids.time, "time", lambda: ids._EPOCHS_BEGAN + 5.0)
    assert begin_epoch() == 901


@pytest.mark.parametrize("when", [datetime(2026, 11, 22, tzinfo=UTC), datetime(2090, 1, 1, tzinfo=UTC)])
def test_ids_after_a_restore_fit_what_brokers_take_whatever_the_orders_own(desk, monkeypatch, when):  # noqa: F811
    monkeypatch.setattr(ids.time, "time", when.timestamp)
    begin_epoch()
    for length in (1, 30, 38, 39, 40):
        made = {next_request_id("x" * length, mark, number) for mark in "RCN" for number in (1, 9, 10, 123)}
        assert len(made) == 12
        assert max(map(len, made)) <= 48
    assert len(new_client_order_id()) <= 40
    assert new_client_order_id().startswith(f"d{ids._short(restore_epoch())}-")


def test_order_that_waited_to_be_sent_is_asked_about_and_never_sent(venue):
    order = submit(broker_name="alpaca")
    restored()
    request = request_of(order)
    assert (request.state, request.holder) == (RequestState.UNKNOWN, BEFORE)
    assert request.send_before <= timezone.now()
    order.refresh_from_db()
    assert order.outcome_unknown


class Broker:
    """A broker that has what it has, and takes note of what it is asked and told."""

    def __init__(self, *has):
        self.has, self.told = {report.client_order_id: report for report in has}, []

    def find_order(self, client_order_id):
        self.told.append(("find", client_order_id))
        return self.has.get(client_order_id)

    def submit(self, order):
        raise AssertionError(f"sent: {order}")


def test_order_that_was_sent_after_the_backup_is_taken_as_the_broker_has_it(venue, monkeypatch):
    order = submit(broker_name="alpaca")
    restored()
    answer = Counterparty(order, "B-1").report(ExecType.ORDER_STATUS, status=OrdStatus.NEW)
    broker = Broker(answer)
    monkeypatch.setattr(sending, "gateway_for", lambda account: broker)
    sending.send_request(request_of(order).pk)
    order.refresh_from_db()
    assert (order.status, order.broker_order_id, order.outcome_unknown) == ("new", "B-1", False)
    assert broker.told == [("find", order.client_order_id)]


def test_order_that_no_broker_has_is_expired_once_no_late_arrival_is_possible(venue, monkeypatch):
    order = submit(broker_name="alpaca")
    restored()
    broker = Broker()
    monkeypatch.setattr(sending, "gateway_for", lambda account: broker)
    sending.send_request(request_of(order).pk)
    assert request_of(order).state == RequestState.UNKNOWN
    long_ago = timezone.now() - sending.LATE_ARRIVAL - timedelta(seconds=1)
    OrderRequest.objects.update(sent_at=long_ago, not_before=None)
    sending.send_request(request_of(order).pk)
    order.refresh_from_db()
    assert (order.status, order.reserved_qty) == ("expired", 0)
    assert order.text.startswith("NEVER_SENT_TOO_OLD")
    assert_books_balance()


def working(broker_name: str = "alpaca") -> Counterparty:
    broker = Counterparty(submit(broker_name=broker_name))
    broker.acknowledge()
    return broker


@pytest.mark.parametrize("state", [RequestState.QUEUED, RequestState.SENDING, RequestState.UNKNOWN])
def test_replace_without_an_answer_is_given_up_and_reserves_no_more(wakings, db, state):  # noqa: F811
    roomy_desk()
    broker = working()
    request = request_replace(order=broker.order, changes=Changes(order_qty=Decimal(150)), actor="ann")
    OrderRequest.objects.filter(pk=request.pk).update(state=state)
    restored()
    request.refresh_from_db()
    assert request.state == RequestState.REFUSED
    assert (broker.order.status, broker.order.reserved_qty) == ("new", 100)
    assert_books_balance()


def test_replace_that_the_broker_has_taken_is_applied_though_it_was_given_up(wakings, db):  # noqa: F811
    roomy_desk()
    broker = working()
    request = request_replace(order=broker.order, changes=Changes(order_qty=Decimal(150)), actor="ann")
    restored()
    facts = {"client_order_id": request.client_order_id, "broker_order_id": "B-2", "status": OrdStatus.NEW}
    broker.tell(ExecType.REPLACED, **facts, order_qty=150)
    request.refresh_from_db()
    assert request.state == RequestState.ACCEPTED
    assert (broker.order.order_qty, broker.order.broker_order_id, broker.order.reserved_qty) == (150, "B-2", 150)
    assert_books_balance()


def test_cancel_without_an_answer_still_goes_out(venue):
    broker = working()
    request = request_cancel(order=broker.order, actor="ann")
    restored()
    request.refresh_from_db()
    assert request.state == RequestState.QUEUED


def test_deferred_order_that_was_not_routed_is_cancelled(venue):
    order = submit(defer=True)
    assert order.account_id is None
    restored()
    order.refresh_from_db()
    assert order.status == "canceled"


def test_no_account_takes_an_order_until_each_was_compared(venue):
    restored()
    for name in ("alpaca", "alpaca_margin"):
        codes = denied(broker_name=name)
        assert "TRADING_HALTED" in codes
        assert "ACCOUNT_NOT_RECONCILED" in codes
    reconcile_account("alpaca")
    assert denied(broker_name="alpaca") == []
    assert "TRADING_HALTED" in denied(broker_name="alpaca_margin")
    reconcile_account("alpaca_margin")
    assert denied(broker_name="alpaca_margin") == []
    assert not Halt.objects.filter(cleared_at=None).exists()
    assert {row.clear_reason for row in Halt.objects.all()} == {"compared with the broker: both agree"}


@pytest.mark.parametrize("failing", ["positions", "executions", "orders", "account"])
def test_comparison_that_the_broker_did_not_answer_in_full_lets_nothing_through(venue, failing):
    restored()
    venue.fails = {failing}
    reconcile_account("alpaca")
    assert "TRADING_HALTED" in denied(broker_name="alpaca")


def test_account_that_differs_from_its_broker_waits_until_the_difference_is_gone(venue):
    restored()
    venue.holdings = {"IBM": (50, 180)}
    reconcile_account("alpaca")
    assert "TRADING_HALTED" in denied(broker_name="alpaca")  # suspected only: the first look already counts
    reconcile_account("alpaca")
    assert "TRADING_HALTED" in denied(broker_name="alpaca")
    venue.holdings = {}
    reconcile_account("alpaca")
    assert denied(broker_name="alpaca") == []


def test_account_with_an_order_in_doubt_waits_though_all_else_agrees(venue):
    order = submit(broker_name="alpaca")
    restored()
    reconcile_account("alpaca")
    assert "TRADING_HALTED" in denied(broker_name="alpaca")
    request_of(order).delete()
    reconcile_account("alpaca")
    assert denied(broker_name="alpaca") == []


def test_halt_of_a_person_stays_after_the_comparison(venue):
    halt(scope="account", scope_key="alpaca", reason="looks odd", actor="bob")
    restored()
    QuoteFactory(listing__account_id="alpaca_later", listing__instrument=Instrument.objects.get(symbol="IBM"))
    reconcile_account("alpaca")
    [ours] = Halt.objects.filter(scope_key="alpaca", cleared_at=None)
    assert (ours.set_by, ours.reason) == ("bob", "looks odd")
    assert BrokerAccount.objects.get(pk="alpaca").unreconciled == ""


def test_person_who_clears_a_halt_of_his_own_does_not_open_an_account_that_was_not_compared(venue):
    mine = halt(scope="account", scope_key="alpaca", reason="looks odd", actor="bob")
    restored()
    resume(halt=mine, reason="it was nothing", actor="bob")
    assert denied(broker_name="alpaca") == ["ACCOUNT_NOT_RECONCILED"]
    reconcile_account("alpaca")
    assert denied(broker_name="alpaca") == []


def test_comparisons_without_a_restore_clear_nobodys_halt(venue):
    halt(scope="account", scope_key="alpaca", reason="looks odd", actor="bob")
    reconcile_account("alpaca")
    assert "TRADING_HALTED" in denied(broker_name="alpaca")


def test_trail_tells_of_the_restore_and_leases_are_free(venue):
    AccountLease.objects.create(account_id="alpaca", holder="gone:1:x", expires_at=timezone.now() + timedelta(days=1))
    epoch = restored()
    event = AuditEvent.objects.get(kind="desk.restored")
    assert (event.actor, event.after["restore_epoch"], event.after["backup"]) == ("ann", epoch, "b.zip")
    assert AccountLease.objects.get(pk="alpaca").holder == ""
    assert ExposureTotal.objects.get(key="1:alpaca").unreconciled.startswith("restored from")


LATER = """
brokers:
  alpaca: {allocation_percent: 0.5, api_key: "${ALPACA_API_KEY}", secret_key: "${ALPACA_SECRET_KEY}"}
  alpaca_later: {adapter: alpaca, allocation_percent: 0.5, api_key: "${ALPACA_API_KEY}",
                 secret_key: "${ALPACA_SECRET_KEY}"}
risk: {max_order_qty: 1000, max_order_notional: 100000, portfolio_risk_limit: 1000000, max_broker_allocation: 1}
"""


@pytest.fixture
def later(tmp_path, monkeypatch):
    """A configuration with an account that the desk does not have yet."""
    for name in ("ALPACA_API_KEY", "ALPACA_SECRET_KEY"):
        monkeypatch.setenv(name, f"a-value-of-{name}")
    path = tmp_path / "desk.yaml"
    path.write_text(LATER)
    return path


def test_account_that_the_backup_does_not_know_is_compared_before_it_takes_an_order(venue, later):
    restored()
    load(later, actor="ann", reason="it was there before the restore")
    account = BrokerAccount.objects.get(pk="alpaca_later")
    BrokerAccount.objects.filter(pk=account.pk).update(status="active", portfolio_value=10**6, buying_power=10**6)
    QuoteFactory(listing__account=account, listing__instrument=Instrument.objects.get(symbol="IBM"))
    reconcile_account("alpaca")
    [ours] = Halt.objects.filter(cleared_at=None, scope_key="alpaca_later")
    assert ours.set_by == RESTORE
    codes = denied(broker_name="alpaca_later")
    assert {"TRADING_HALTED", "ACCOUNT_NOT_RECONCILED"} <= set(codes)
    assert not OrderRequest.objects.exists()
    reconcile_account("alpaca_later")
    assert denied(broker_name="alpaca_later") == []


def test_account_that_was_known_and_one_of_a_desk_that_was_never_restored_are_not_stopped(venue, later):
    load(later, actor="ann")
    assert not Halt.objects.exists()
    restored()
    for name in ("alpaca", "alpaca_margin", "alpaca_later"):
        reconcile_account(name)
    later.write_text(LATER.replace("0.5,", "0.25,", 1).replace("0.5,", "0.75,", 1))
    load(later, actor="ann")
    assert not Halt.objects.filter(cleared_at=None).exists()
