"""The front door: everything that follows from an order's acceptance, or nothing but its denial."""

from decimal import Decimal

import pytest
from django.db import connection

from brokers.models import AccountHealth, BrokerAccount
from orders import intake, tasks, wakeups
from orders.intake import preview_order, submit_order
from orders.models import Order, OrderRequest, RiskDecision
from orders.ticket import parse_ticket
from risk.halts import halt
from risk.limits import LimitValue, set_limits
from risk.models import Control, ExposureTotal
from tests.orders.desk import LIMIT_BUY, submission, submit
from tests.orders.invariants import assert_books_balance
from tradingdesk.audit.models import AuditEvent
from tradingdesk.errors import Conflict, InvalidInput
from tradingdesk.fix import RequestState

pytestmark = pytest.mark.django_db


def trail(order: Order) -> list[str]:
    return list(
        AuditEvent.objects.filter(client_order_id=order.client_order_id).order_by("id").values_list("kind", flat=True)
    )


def assert_nothing_was_stored() -> None:
    assert not Order.objects.exists()
    assert not OrderRequest.objects.exists()
    assert not RiskDecision.objects.exists()
    assert not AuditEvent.objects.filter(kind__startswith="order.").exists()
    assert not ExposureTotal.objects.exclude(gross=0).exists()


def test_accepted_order_is_committed_with_all_that_follows(desk):
    order = submission(client_order_id="mine-1", strategy="trend").order

    order.refresh_from_db()
    request, risk, route = order.requests.get(), order.risk_decisions.get(), order.routing_decisions.get()
    assert (order.status, order.account_id, order.broker_order_id) == ("pending", "alpaca", None)
    assert (order.reserved_qty, order.reserved_notional, order.buying_power_held) == (100, 18_240, 18_240)
    assert (request.kind, request.state, request.client_order_id) == ("new", RequestState.QUEUED, "mine-1")
    assert (request.broker_name, request.send_before) == ("alpaca", order.send_before)
    assert (risk.allowed, risk.denials, sorted(risk.accounts)) == (True, [], ["alpaca", "alpaca_margin"])
    assert (route.chosen, [row["broker_name"] for row in route.candidates]) == ("alpaca", ["alpaca", "alpaca_margin"])
    assert all(row["reason"] for row in route.candidates)
    assert trail(order) == ["order.new", "order.routed"]
    assert ExposureTotal.objects.get(key="2:alpaca:IBM").open_buy_qty == 100
    assert_books_balance()


def test_audit_events_name_who_asked(desk):
    order = submission().order

    assert set(AuditEvent.objects.filter(client_order_id=order.client_order_id).values_list("actor", flat=True)) == {
        "ann"
    }


def test_order_without_an_id_gets_one_that_brokers_take(desk):
    ids = {submission().order.client_order_id for _ in range(3)}

    assert len(ids) == 3
    assert all(len(one) <= 40 for one in ids)


def test_worker_is_woken_on_its_brokers_queue_after_the_commit_only(desk, wakings, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=False) as callbacks:
        request = submission().order.requests.get()
    assert wakings.sent == []

    for callback in callbacks:
        callback()

    assert wakings.sent == [(wakeups.SEND_REQUEST, request.pk, "broker.alpaca")]


def test_failure_on_the_way_leaves_nothing_and_wakes_nobody(
    desk, wakings, monkeypatch, django_capture_on_commit_callbacks
):
    def broken(*events):
        raise RuntimeError("the trail cannot be written")

    monkeypatch.setattr(intake.trail, "record", broken)

    with django_capture_on_commit_callbacks(execute=True), pytest.raises(RuntimeError):
        submission()

    monkeypatch.undo()
    assert_nothing_was_stored()
    assert wakings.sent == []


def test_denial_is_stored_and_explained_but_nothing_is_reserved_or_sent(
    desk, wakings, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        order = submission(order_qty="1001").order

    order.refresh_from_db()
    assert (order.status, order.closed_as, order.account_id) == ("denied", "denied", None)
    assert [(d["code"], d["found"], d["limit"], d["broker_name"]) for d in order.denials] == [
        ("QUANTITY_EXCEEDS_MAXIMUM", "1001", "1000", "alpaca"),
        ("QUANTITY_EXCEEDS_MAXIMUM", "1001", "1000", "alpaca_margin"),
    ]
    assert order.text.startswith("QUANTITY_EXCEEDS_MAXIMUM: order_qty=1001, max=1000")
    assert (order.reserved_qty, order.leaves_qty, order.closed_at is not None) == (0, 0, True)
    assert (order.risk_decisions.get().allowed, order.routing_decisions.get().chosen) == (False, "")
    assert trail(order) == ["order.new", "order.denied"]
    assert not order.requests.exists()
    assert wakings.sent == []
    assert not ExposureTotal.objects.exclude(gross=0).exists()
    assert_books_balance()


def test_same_id_and_body_gives_the_same_order_and_nothing_new(desk, wakings, django_capture_on_commit_callbacks):
    first = submission(client_order_id="mine-1")
    events = AuditEvent.objects.count()

    with django_capture_on_commit_callbacks(execute=True):
        again = submission(client_order_id="mine-1")

    assert (first.created, again.created, again.order.pk) == (True, False, first.order.pk)
    assert (Order.objects.count(), OrderRequest.objects.count(), RiskDecision.objects.count()) == (1, 1, 1)
    assert (AuditEvent.objects.count(), wakings.sent) == (events, [])
    assert_books_balance()


def test_same_id_and_body_gives_the_denied_order_even_when_it_would_pass_now(desk):
    denied = submission(client_order_id="mine-1", order_qty="1001").order
    set_limits([LimitValue(Control.MAX_ORDER_QTY, Decimal(2000))], actor="ann", reason="wider")

    again = submission(client_order_id="mine-1", order_qty="1001")

    assert (again.created, again.order.pk, again.order.status) == (False, denied.pk, "denied")


@pytest.mark.parametrize(
    "other", [{"order_qty": "101"}, {"side": "sell"}, {"price": "182.41"}, {"symbol": "BAC"}, {"strategy": "other"}]
)
def test_same_id_with_another_body_is_a_conflict_and_changes_nothing(desk, other):
    first = submission(client_order_id="mine-1").order

    with pytest.raises(Conflict) as refusal:
        submission(client_order_id="mine-1", **other)

    assert (refusal.value.code, refusal.value.field) == ("DUPLICATE_CLIENT_ORDER_ID", "client_order_id")
    assert list(Order.objects.values_list("pk", "order_qty")) == [(first.pk, 100)]
    assert_books_balance()


def test_equal_numbers_written_differently_are_the_same_body(desk):
    first = submission(client_order_id="mine-1", order_qty="100", price="182.40")

    again = submission(client_order_id="mine-1", order_qty="100.000", price="182.4")

    assert (again.created, again.order.pk) == (False, first.order.pk)


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"symbol": "NONE"}, "UNKNOWN_SYMBOL", "symbol"),
        ({"broker_name": "nobody"}, "UNKNOWN_BROKER", "broker_name"),
    ],
)
def test_what_the_desk_does_not_know_is_refused_and_leaves_no_row(desk, body, code, field):
    with pytest.raises(InvalidInput) as refusal:
        submission(**body)

    assert (refusal.value.code, refusal.value.field) == (code, field)
    assert_nothing_was_stored()


def test_disabled_account_is_not_known(desk):
    BrokerAccount.objects.filter(pk="alpaca_margin").update(enabled=False)

    with pytest.raises(InvalidInput):
        submission(broker_name="alpaca_margin")

    assert submission().order.account_id == "alpaca"
    assert_books_balance()


def test_number_that_sqlite_cannot_store_exactly_is_refused_by_name(desk):
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL stores it exactly")

    with pytest.raises(InvalidInput) as refusal:
        submission(order_qty="1000000.123456789", price=None, ord_type="market")

    assert (refusal.value.code, refusal.value.field) == ("TOO_PRECISE", "order_qty")
    assert_nothing_was_stored()


def test_order_that_names_its_broker_goes_there_or_nowhere(desk):
    assert submission(broker_name="alpaca_margin").order.account_id == "alpaca_margin"

    AccountHealth.objects.create(account_id="alpaca_margin", healthy=False)
    denied = submission(broker_name="alpaca_margin").order

    assert (denied.status, denied.account_id) == ("denied", None)
    assert [(d["code"], d["broker_name"]) for d in denied.denials] == [("BROKER_UNHEALTHY", "alpaca_margin")]
    assert_books_balance()


def test_orders_spread_by_the_accounts_shares(desk):
    BrokerAccount.objects.filter(pk="alpaca").update(allocation_percent=Decimal("0.75"))
    BrokerAccount.objects.filter(pk="alpaca_margin").update(allocation_percent=Decimal("0.25"))

    went_to = [submission().order.account_id for _ in range(8)]

    assert (went_to.count("alpaca"), went_to.count("alpaca_margin")) == (6, 2)
    assert_books_balance()


def test_unhealthy_account_is_passed_over(desk):
    AccountHealth.objects.create(account_id="alpaca", healthy=False)

    order = submission().order

    assert order.account_id == "alpaca_margin"
    rows = {row["broker_name"]: row["reason"] for row in order.routing_decisions.get().candidates}
    assert rows["alpaca"].startswith("BROKER_UNHEALTHY")


def test_preview_stores_nothing_and_says_what_submission_would(desk):
    ticket = parse_ticket(LIMIT_BUY)

    preview = preview_order(ticket=ticket, actor="ann")

    assert_nothing_was_stored()
    order = submit_order(ticket=ticket, actor="ann").order
    assert (preview.allowed, preview.denials) == (True, [])
    assert preview.routing["chosen"] == order.account_id
    assert preview.accounts == order.risk_decisions.get().accounts


def test_preview_of_a_denied_order_tells_the_same_denials(desk):
    ticket = parse_ticket(LIMIT_BUY | {"order_qty": "1001"})

    preview = preview_order(ticket=ticket, actor="ann")

    assert not preview.allowed
    assert preview.denials == submit_order(ticket=ticket, actor="ann").order.denials


def test_deferred_order_waits_for_its_routing_task(desk, wakings, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        order = submission(defer=True).order

    assert (order.status, order.account_id, order.requests.count()) == ("pending", None, 0)
    assert wakings.sent == [(wakeups.ROUTE_ORDER, order.pk, "desk")]
    assert not ExposureTotal.objects.exclude(gross=0).exists()

    with django_capture_on_commit_callbacks(execute=True):
        tasks.route_order(order.pk)
        tasks.route_order(order.pk)

    order.refresh_from_db()
    assert (order.account_id, order.requests.count(), order.routing_decisions.count()) == ("alpaca", 1, 1)
    assert wakings.of(wakeups.SEND_REQUEST) == [(order.requests.get().pk, "broker.alpaca")]
    assert trail(order).count("order.routed") == 1
    assert_books_balance()


def test_deferred_order_is_judged_when_it_is_routed(desk):
    order = submission(defer=True).order
    halt(scope="firm", reason="drill", actor="ann")

    tasks.route_order(order.pk)

    order.refresh_from_db()
    assert (order.status, {d["code"] for d in order.denials}) == ("denied", {"TRADING_HALTED"})
    assert not order.requests.exists()


def test_submit_of_a_sell_reserves_the_other_side(desk):
    order = submit(side="sell", price="184")

    row = ExposureTotal.objects.get(key=f"2:{order.account_id}:IBM")
    assert (row.open_sell_qty, row.open_sell_notional, row.open_buy_qty) == (100, 18_400, 0)
    assert_books_balance()
