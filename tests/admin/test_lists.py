"""Lists: a constant number of queries, filters and searches that find, actions that report object by object."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from orders.models import Execution, Order, OrderRequest
from tests import factories
from tests.admin import rows
from tests.orders.desk import Counterparty
from tradingdesk.audit.models import AuditEvent
from tradingdesk.backoffice.lists import BoundedPaginator, distinct_values
from tradingdesk.config.models import ConfigurationRecord

ORDERS = reverse("admin:orders_order_changelist")
TRAIL = reverse("admin:tradingdesk_auditevent_changelist")
EXECUTIONS = reverse("admin:orders_execution_changelist")

# Session and user, (count and page), and one for each filter that offers values.
OF_THE_SIDE_BAR = 2  # its badges
BASELINES = {
    "orders.Approval": 4,
    "orders.Order": 7,
    "orders.Execution": 6,
    "orders.BrokerMessage": 5,
    "orders.OrderRequest": 5,
    "orders.RiskDecision": 4,
    "orders.RoutingDecision": 4,
    "orders.Position": 5,
    "orders.TradeLog": 5,
    "brokers.BrokerAccount": 5,
    "brokers.AccountHealth": 4,
    "brokers.Instrument": 5,
    "brokers.Listing": 5,
    "brokers.Quote": 5,
    "risk.Limit": 4,
    "risk.Halt": 4,
    "risk.ExposureTotal": 4,
    "tradingdesk.AuditEvent": 7,
    "tradingdesk.ConfigurationRecord": 4,
}


def queries_of(client, url: str, **query) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert client.get(url, query).status_code == 200
    return len(captured)


def listed(client, url: str, **query) -> list:
    return list(client.get(url, query).context["cl"].result_list)


def many_rows() -> None:
    """Three and more rows of everything that grows."""
    rows.one_of_each()
    for number in (2, 3, 4):
        rows.order_with_history(number, rows=2)
        factories.trading_desk(f"alpaca_{number}")
        ConfigurationRecord.objects.create(version=number, changed_by="someone", whole={}, diff={})
    rows.submitted(order_qty="1001")


@pytest.mark.parametrize("label", BASELINES)
def test_list_asks_a_fixed_number_of_queries(label, desk, superuser):
    model = next(model for model in admin.site._registry if model._meta.label == label)
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    many_rows()
    superuser.get(url)
    assert queries_of(superuser, url) == BASELINES[label] + OF_THE_SIDE_BAR


def test_blotter_filters_by_named_set_status_broker_symbol_side_strategy_and_day(desk, superuser):
    new = factories.OrderFactory(strategy="pairs", created_at=datetime(2026, 3, 4, 23, 59, 59, 999999, tzinfo=UTC))
    done = factories.OrderFactory(status="filled", side="sell", instrument__symbol="BAC")
    doubt = factories.OrderFactory(
        status="pending", account__broker_name="alpaca_margin", outcome_unknown_since=new.created_at
    )
    found = {
        (): {new, done, doubt},
        (("status", "open"),): {new, doubt},
        (("status", "closed"),): {done},
        (("status", "in_flight"),): {doubt},
        (("status", "in_doubt"),): {doubt},
        (("status", "filled"),): {done},
        (("status", "nonsense"),): {new, done, doubt},
        (("account__broker_name__exact", "alpaca_margin"),): {doubt},
        (("symbol", "BAC"),): {done},
        (("side__exact", "sell"),): {done},
        (("strategy", "pairs"),): {new},
        (("created_at_from", "2026-03-04"), ("created_at_to", "2026-03-04")): {new},
        (("created_at_to", "2026-03-03"),): {done, doubt},
        (("created_at_from", "yesterday"),): {new, done, doubt},
    }
    for query, orders in found.items():
        assert set(listed(superuser, ORDERS, **dict(query))) == orders, query


def test_blotter_finds_by_our_id_the_brokers_id_and_the_symbols_beginning(desk, superuser):
    one = factories.OrderFactory(client_order_id="mine-1", broker_order_id="B-1")
    two = factories.OrderFactory(client_order_id="mine-2", broker_order_id="B-2", instrument__symbol="BAC")
    found = {"mine-1": [one], " B-2 ": [two], "ba": [two], "IBM": [one], "mine": [], "-1": []}
    for term, orders in found.items():
        assert listed(superuser, ORDERS, q=term) == orders, term


def test_searches_of_the_large_tables_use_indexes(desk, superuser):
    searches = {
        ORDERS: Order.objects.all(),
        EXECUTIONS: Execution.objects.all(),
        TRAIL: AuditEvent.objects.all(),
    }
    for url, everything in searches.items():
        model_admin = admin.site._registry[everything.model]
        found, _ = model_admin.get_search_results(None, everything.order_by(), "mine-1")
        plan = found.explain()
        table = everything.model._meta.db_table
        assert f"SCAN {table}" not in plan, f"{url}\n{plan}"


def test_blotter_shows_the_newest_first_and_cannot_be_sorted_by_what_has_no_index(desk, superuser):
    first, second = factories.OrderFactory(), factories.OrderFactory()
    assert listed(superuser, ORDERS) == [second, first]
    assert listed(superuser, ORDERS, o="2") == [second, first]


def test_counting_stops_at_the_bound_and_the_page_says_so(desk, superuser, monkeypatch):
    monkeypatch.setattr("tradingdesk.backoffice.lists.COUNTED_AT_MOST", 3)
    for _ in range(5):
        factories.OrderFactory()
    page = BoundedPaginator(Order.objects.all(), 2)
    assert (page.count, page.num_pages, page.is_capped) == (3, 2, True)
    assert "3 or more" in superuser.get(ORDERS).content.decode()


def test_distinct_values_are_found_without_the_empty_one(desk):
    for strategy in ("b", "a", "", "b"):
        factories.OrderFactory(strategy=strategy)
    assert distinct_values(Order, "strategy") == ["a", "b"]
    assert distinct_values(Execution, "symbol") == []


def test_cancel_action_reports_order_by_order(desk, admin_of):
    queued = rows.submitted()
    working = Counterparty(rows.submitted()).acknowledge()
    filled = factories.OrderFactory(status="filled", closed_as=None, cum_qty=Decimal(100))
    data = {"action": "cancel", "_selected_action": [queued.pk, working.pk, filled.pk]}
    answer = admin_of("trader").post(ORDERS, data, follow=True)
    told = "\n".join(str(message) for message in answer.context["messages"])
    assert f"{queued}: cancelled before it was sent" in told
    assert f"{working}: cancel requested" in told
    assert f"{filled}: " in told
    assert "ORDER_CLOSED" in told
    assert list(OrderRequest.objects.filter(kind="cancel").values_list("order", flat=True)) == [working.pk]


def test_cancel_action_is_not_there_for_viewers(desk, admin_of):
    order = rows.submitted()
    viewer = admin_of("viewer")
    assert "Ask the brokers to cancel" not in viewer.get(ORDERS).content.decode()
    viewer.post(ORDERS, {"action": "cancel", "_selected_action": [order.pk]})
    order.refresh_from_db()
    assert order.status == "pending"
    assert not OrderRequest.objects.filter(kind="cancel").exists()


def test_trail_filters_over_all_brokers_and_finds_by_order_symbol_and_request(desk, admin_of):
    rows.order_with_history(1)
    other = factories.OrderFactory(client_order_id="other", account__broker_name="alpaca_margin", symbol="BAC")
    rows._event(other, "why")
    auditor = admin_of("auditor")
    of_first, of_other = AuditEvent.objects.filter(kind="order.cancel_requested").order_by("id")
    found = {
        (("broker_name", "alpaca_margin"),): [of_other],
        (("kind", "order.cancel_requested"),): [of_other, of_first],
        (("actor", "someone"), ("broker_name", "alpaca")): [of_first],
        (("q", "other"),): [of_other],
        (("q", "bac"),): [of_other],
        (("q", "request-1"),): [of_other, of_first],
        (("q", "history-1"),): [of_first],
    }
    for query, events in found.items():
        assert listed(auditor, TRAIL, **dict(query)) == events, query
    today = f"{of_other.happened_at:%Y-%m-%d}"
    assert of_other in listed(auditor, TRAIL, happened_at_from=today, happened_at_to=today)


def test_event_shows_before_and_after_side_by_side(desk, admin_of):
    rows.order_with_history(text="was")
    event = AuditEvent.objects.get(kind="order.cancel_requested")
    body = admin_of("auditor").get(reverse("admin:tradingdesk_auditevent_change", args=[event.pk])).content.decode()
    assert 'class="desk-changed"' in body
    assert body.index(">was<") < body.index(">canceled<")


def test_trader_does_not_see_the_trail(desk, admin_of):
    assert admin_of("trader").get(TRAIL).status_code == 403
