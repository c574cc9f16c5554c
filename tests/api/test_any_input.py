"""Whatever is posted, the desk answers in its forms, and what it stores is what it said."""

import json

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orders.models import Order
from orders.ticket import TICKET_FIELDS

pytestmark = pytest.mark.django_db

numbers = st.one_of(
    st.integers(min_value=-(10**30), max_value=10**30),
    st.floats(allow_nan=False, allow_infinity=False),
    st.decimals(allow_nan=True, allow_infinity=True).map(str),
    st.from_regex(r"\A[+-]?[0-9]{0,20}(\.[0-9]{0,20})?([eE][+-]?[0-9]{1,6})?\Z"),
)
scalars = st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=50))
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
)
words = st.sampled_from(
    [
        "IBM",
        "BAC",
        "buy",
        "sell",
        "market",
        "limit",
        "stop",
        "trailing_stop",
        "day",
        "gtc",
        "ioc",
        "simple",
        "alpaca",
        "10",
        "182.40",
    ]
)
orders = st.fixed_dictionaries(
    {"symbol": st.just("IBM") | scalars, "side": st.just("buy") | scalars, "order_qty": numbers},
    optional={
        name: words | scalars | anything for name in TICKET_FIELDS if name not in ("symbol", "side", "order_qty")
    },
)
FORMS = {
    200: {"client_order_id", "status"},
    201: {"client_order_id", "status"},
    400: {"code", "detail", "field"},
    409: {"code", "detail", "field"},
    422: {"code", "detail", "field", "denials", "order"},
}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=orders | anything)
def test_any_body_is_answered_in_form_and_only_orders_leave_a_row(trader, desk, body):
    with transaction.atomic():
        answer = trader.post("/api/v1/orders/", json.dumps(body), content_type="application/json")
        assert answer.status_code in FORMS, answer.content
        assert FORMS[answer.status_code] <= set(answer.json())
        assert Order.objects.count() == (answer.status_code in (201, 422))
        transaction.set_rollback(True)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=200))
def test_any_bytes_are_400_or_an_answer_in_form(trader, desk, body):
    answer = trader.generic("POST", "/api/v1/orders/", body, content_type="application/json")
    assert answer.status_code == 400
    assert set(answer.json()) == {"code", "detail", "field"}
    assert not Order.objects.exists()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    query=st.dictionaries(
        st.sampled_from(["broker_name", "symbol", "status", "created_after", "cursor", "page_size", "x"]), st.text()
    )
)
def test_any_filter_is_answered_in_form(viewer, query):
    answer = viewer.get("/api/v1/orders/", query)
    assert answer.status_code in (200, 400), answer.content
    assert set(answer.json()) in ({"next", "previous", "results"}, {"code", "detail", "field"})
