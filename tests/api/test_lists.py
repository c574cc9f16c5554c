"""Lists: pages, filters, and a constant number of queries."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.http import urlencode

from orders.models import Order
from risk.models import Halt, Scope
from tests import factories
from tradingdesk.audit import trail
from tradingdesk.config.models import ConfigurationRecord

pytestmark = pytest.mark.django_db

READS_ALL = ("viewer", "auditor")


def pages_of(client, path, **query):
    """Every page, by following `next`."""
    url = f"{path}?{urlencode(query)}"
    while url:
        page = client.get(url).json()
        yield page
        url = page["next"]


def make_rows(count: int) -> None:
    """As many rows as asked for in every list, each with its own account, order and symbol."""
    for n in range(count):
        account = factories.BrokerAccountFactory(broker_name=f"broker_{Order.objects.count()}")
        order = factories.OrderFactory(account=account, instrument__symbol=f"SYM{n}", strategy="s")
        factories.ExecutionFactory(order=order)
        factories.ApprovalFactory(order=order)
        position = factories.PositionFactory(account=account, instrument=order.instrument)
        factories.TradeLogFactory(position=position, order=order)
        Halt.objects.create(scope=Scope.SYMBOL, scope_key=account.broker_name, reason="r", set_by="someone")
        trail.record(trail.event("order.new", actor="someone", client_order_id=order.client_order_id))
        version = ConfigurationRecord.objects.count() + 1
        ConfigurationRecord.objects.create(version=version, changed_by="someone", whole={}, diff={})


# Token and user, permissions, and what the list itself needs.
QUERIES = {
    "/api/v1/orders/": 3,
    "/api/v1/orders/?broker_name=broker_0&symbol=SYM0&status=new&strategy=s": 3,
    "/api/v1/approvals/": 4,
    "/api/v1/executions/": 3,
    "/api/v1/positions/": 3,
    "/api/v1/positions/consolidated/": 3,
    "/api/v1/trade-logs/": 3,
    "/api/v1/brokers/": 3,
    "/api/v1/risk/exposure/": 3,
    "/api/v1/risk/limits/": 5,  # and what is in use of them
    "/api/v1/risk/halts/": 3,
    "/api/v1/audit/events/": 3,
    "/api/v1/config/history/": 3,
}


@pytest.mark.parametrize("path", QUERIES)
def test_number_of_queries_does_not_grow_with_the_page(client_of, path):
    client = client_of(*READS_ALL)
    make_rows(1)
    assert _queries(client, path) == QUERIES[path]
    make_rows(5)
    assert _queries(client, path) == QUERIES[path]


def test_one_order_is_read_with_three_queries(viewer):
    factories.OrderFactory(client_order_id="known")
    assert _queries(viewer, "/api/v1/orders/known/") == 3


def test_pages_follow_each_other_without_gap_or_repetition(viewer):
    made = [factories.OrderFactory().client_order_id for _ in range(7)]
    pages = list(pages_of(viewer, "/api/v1/orders/", page_size=3))
    assert [[row["client_order_id"] for row in page["results"]] for page in pages] == [
        made[:3:-1],
        made[3:0:-1],
        made[:1],
    ]
    assert pages[0]["previous"] is None
    assert pages[-1]["next"] is None


def test_previous_leads_back_to_the_same_pages(viewer):
    factories.OrderFactory.create_batch(7)
    pages = list(pages_of(viewer, "/api/v1/orders/", page_size=3))
    middle = viewer.get(pages[2]["previous"]).json()
    assert middle["results"] == pages[1]["results"]
    first = viewer.get(middle["previous"]).json()
    assert (first["results"], first["previous"]) == (pages[0]["results"], None)
    assert viewer.get(first["next"]).json()["results"] == pages[1]["results"]


def test_rows_of_the_same_moment_are_paged_too(viewer):
    moment = factories.OPENING
    made = {factories.OrderFactory(created_at=moment).client_order_id for _ in range(7)}
    found = [
        row["client_order_id"] for page in pages_of(viewer, "/api/v1/orders/", page_size=2) for row in page["results"]
    ]
    assert len(found) == 7
    assert set(found) == made


def test_order_that_arrives_meanwhile_does_not_shift_the_next_page(viewer):
    made = [factories.OrderFactory().client_order_id for _ in range(4)]
    first = viewer.get("/api/v1/orders/?page_size=2").json()
    factories.OrderFactory()
    second = viewer.get(first["next"]).json()
    assert [row["client_order_id"] for row in second["results"]] == [made[1], made[0]]


def test_pages_keep_their_filters(viewer):
    for symbol in ("IBM", "BAC") * 3:
        factories.OrderFactory(instrument__symbol=symbol)
    pages = list(pages_of(viewer, "/api/v1/orders/", page_size=2, symbol="BAC"))
    assert [len(page["results"]) for page in pages] == [2, 1]
    assert {row["symbol"] for page in pages for row in page["results"]} == {"BAC"}


def test_lists_in_rising_order_are_paged_too(viewer):
    for name in ("b", "a", "c"):
        factories.BrokerAccountFactory(broker_name=name)
    pages = list(pages_of(viewer, "/api/v1/brokers/", page_size=1))
    assert [page["results"][0]["broker_name"] for page in pages] == ["a", "b", "c"]
    assert viewer.get(pages[2]["previous"]).json()["results"] == pages[1]["results"]


def test_orders_are_filtered_by_everything_the_contract_names(viewer):
    kept = factories.OrderFactory(
        account__broker_name="alpaca_margin",
        instrument__symbol="BAC",
        status="filled",
        strategy="s",
        created_at=factories.OPENING,
    )
    factories.OrderFactory(created_at=factories.OPENING - timedelta(days=1))
    after = (factories.OPENING - timedelta(seconds=1)).isoformat().replace("+00:00", "Z")
    for query in ("broker_name=alpaca_margin", "symbol=BAC", "status=filled", "strategy=s", f"created_after={after}"):
        rows = viewer.get(f"/api/v1/orders/?{query}").json()["results"]
        assert [row["client_order_id"] for row in rows] == [kept.client_order_id], query


def test_positions_are_the_open_ones_unless_asked(viewer):
    factories.PositionFactory(instrument__symbol="IBM")
    factories.PositionFactory(instrument__symbol="BAC", qty=0, closed_at=factories.OPENING)
    found = {
        state: [row["symbol"] for row in viewer.get(f"/api/v1/positions/?{state}").json()["results"]]
        for state in ("", "state=closed", "state=all")
    }
    assert (found[""], found["state=closed"], set(found["state=all"])) == (["IBM"], ["BAC"], {"IBM", "BAC"})


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=bogus", "status"),
        ("side=hold", "side"),
        ("created_after=yesterday", "created_after"),
        ("created_after=2026-13-01", "created_after"),
        ("symbol=%00", "symbol"),
        ("sybmol=IBM", "sybmol"),
        ("page_size=0", "page_size"),
        ("page_size=501", "page_size"),
        ("page_size=-1", "page_size"),
        ("page_size=ten", "page_size"),
        ("page_size=%C2%B2", "page_size"),
        ("cursor=nonsense", "cursor"),
        ("cursor=WyJuIl0", "cursor"),
        ("cursor=WyJuIixudWxsLDFd", "cursor"),
        ("cursor=%C3%A4", "cursor"),
        ("cursor=" + "W1tbW1tb" * 500, "cursor"),
    ],
)
def test_bad_filter_is_400_and_named(viewer, query, field):
    answer = viewer.get(f"/api/v1/orders/?{query}")
    assert (answer.status_code, answer.json()["field"]) == (400, field), answer.json()


def test_cursor_beyond_every_number_is_not_an_error_of_the_desk(client_of):
    client = client_of("auditor")
    trail.record(trail.event("order.new", actor="someone"))
    cursor = "WyJuIiw5OTk5OTk5OTk5OTk5OTk5OTk5OTk5XQ"  # ["n",9999999999999999999999]
    assert client.get(f"/api/v1/audit/events/?cursor={cursor}").status_code in (200, 400)


@pytest.mark.parametrize(
    ("filters", "indexes"),
    [
        ({}, ["order_created"]),
        ({"symbol": "IBM"}, ["order_symbol_created", "order_created"]),
        ({"status": "new"}, ["order_status_created", "order_created"]),
        ({"account_id": "alpaca", "status": "new"}, ["order_account_status", "order_status_created", "order_created"]),
        ({"strategy": "s"}, ["order_strategy_created", "order_created"]),
    ],
    ids=str,
)
def test_page_of_orders_is_found_through_an_index(filters, indexes):
    factories.OrderFactory.create_batch(3, strategy="s")
    page = Order.objects.filter(created_at__lte=factories.OPENING, **filters).order_by("-created_at", "-id")[:101]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
    plan = page.explain()
    assert any(index in plan for index in indexes), plan


def _queries(client, path) -> int:
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(path)
    assert answer.status_code == 200, answer.content
    return len(queries)
