"""Baskets: judged as one sum, and taken or denied as a whole."""

from decimal import Decimal

import pytest

from brokers.models import BrokerAccount
from orders.basket import LARGEST, Basket, parse_basket, submit_basket
from orders.intake import preview_order
from orders.models import Order, OrderRequest, RiskDecision
from orders.ticket import parse_ticket
from risk.halts import halt
from risk.limits import LimitValue, set_limits
from risk.models import Control, ExposureTotal
from tests.orders.desk import LIMIT_BUY
from tests.orders.invariants import assert_books_balance
from tradingdesk.audit.models import AuditEvent
from tradingdesk.errors import Conflict, InvalidInput

pytestmark = pytest.mark.django_db

IBM = LIMIT_BUY | {"broker_name": "alpaca"}  # 18,240
BAC = IBM | {"symbol": "BAC", "side": "sell", "order_qty": "50", "price": "182.60"}  # 9,130
TOGETHER = Decimal(27_370)


@pytest.fixture(autouse=True)
def desk_of_two(desk, wakings):
    """Two accounts, whose workers are not woken."""


def basket(*bodies: dict) -> Basket:
    return submit_basket(tickets=parse_basket({"orders": list(bodies)}), actor="ann")


def limit(control: Control, value: Decimal) -> None:
    set_limits([LimitValue(control, value)], actor="ann", reason="test")


def passes_alone(body: dict) -> bool:
    return preview_order(ticket=parse_ticket(body), actor="ann").allowed


def test_orders_of_a_basket_are_taken_together(wakings):
    taken = basket(IBM, BAC)

    assert (taken.created, taken.allowed, taken.denials) == (True, True, [])
    assert [(order.symbol, order.status) for order in taken.orders] == [("IBM", "pending"), ("BAC", "pending")]
    assert OrderRequest.objects.count() == 2
    assert sum(order.reserved_notional for order in Order.objects.all()) == TOGETHER
    assert_books_balance()


LIMITS = {
    "gross": lambda value: limit(Control.PORTFOLIO_RISK_LIMIT, value),
    "broker-share": lambda value: limit(Control.MAX_BROKER_ALLOCATION, value / 2_000_000),
    "buying-power": lambda value: BrokerAccount.objects.update(buying_power=value),
}


@pytest.mark.parametrize("room", [TOGETHER, TOGETHER - Decimal("0.002")], ids=["fits", "does-not-fit"])
@pytest.mark.parametrize("set_to", LIMITS.values(), ids=LIMITS)
def test_basket_whose_parts_pass_and_whose_sum_does_not_is_denied_as_a_whole(set_to, room):
    """The failure of 2022: every item below its own limit, in a basket of 196 billion."""
    set_to(room)
    assert passes_alone(IBM)
    assert passes_alone(BAC)

    taken = basket(IBM, BAC)

    fits = room == TOGETHER
    assert taken.allowed is fits
    assert OrderRequest.objects.count() == (2 if fits else 0)
    assert sum(row.gross for row in ExposureTotal.objects.filter(key__startswith="1:")) == (TOGETHER if fits else 0)
    assert_books_balance()


def test_denied_basket_stores_every_order_as_denied_and_says_whose_denial_it_is():
    denied = basket(IBM | {"client_order_id": "good"}, BAC | {"client_order_id": "bad", "order_qty": "1001"})

    assert not denied.allowed
    assert [(one["code"], one["client_order_id"]) for one in denied.denials] == [
        ("QUANTITY_EXCEEDS_MAXIMUM", "bad"),
        ("BASKET_DENIED", "good"),
    ]
    assert denied.denials[-1]["found"] == "bad"
    assert list(Order.objects.order_by("pk").values_list("client_order_id", "status", "reserved_qty")) == [
        ("good", "denied", 0),
        ("bad", "denied", 0),
    ]
    assert list(RiskDecision.objects.values_list("allowed", flat=True)) == [False, False]
    kinds = AuditEvent.objects.filter(entity="order").order_by("id").values_list("client_order_id", "kind")
    assert list(kinds) == [(name, kind) for name in ("good", "bad") for kind in ("order.new", "order.denied")]
    assert_books_balance()


def test_every_order_of_a_denied_basket_that_fails_by_itself_says_so():
    denied = basket(IBM | {"order_qty": "1001"}, BAC, BAC | {"order_qty": "1002"})

    codes = [one["code"] for one in denied.denials]
    assert codes == ["QUANTITY_EXCEEDS_MAXIMUM", "QUANTITY_EXCEEDS_MAXIMUM", "BASKET_DENIED"]


def test_halt_of_one_symbol_denies_the_basket(wakings):
    halt(scope="symbol", scope_key="BAC", reason="news", actor="ann")

    assert not basket(IBM, BAC).allowed
    assert wakings.sent == []


@pytest.mark.parametrize("qty", ["100", "1001"], ids=["taken", "denied"])
def test_same_basket_again_is_the_one_that_is_there(qty):
    bodies = IBM | {"client_order_id": "a"}, BAC | {"client_order_id": "b", "order_qty": qty}
    first = basket(*bodies)

    again = basket(*bodies)

    assert (again.created, again.allowed) == (False, first.allowed)
    assert [order.pk for order in again.orders] == [order.pk for order in first.orders]
    assert Order.objects.count() == 2


def test_basket_of_which_only_a_part_is_known_is_a_conflict():
    basket(IBM | {"client_order_id": "a"})

    with pytest.raises(Conflict, match="others of this basket were not") as refusal:
        basket(IBM | {"client_order_id": "a"}, BAC | {"client_order_id": "b"})

    assert refusal.value.code == "BASKET_NOT_WHOLE"
    assert Order.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({}, "INVALID_BASKET", "orders"),
        ({"orders": []}, "INVALID_BASKET", "orders"),
        ({"orders": {}}, "INVALID_BASKET", "orders"),
        ({"orders": [IBM] * (LARGEST + 1)}, "INVALID_BASKET", "orders"),
        ({"orders": [IBM], "all_or_none": False}, "INVALID_BASKET", "orders"),
        ({"orders": [IBM, 7]}, "NOT_AN_OBJECT", "orders[1]"),
        ({"orders": [IBM, {**IBM, "price": "-1"}]}, "NOT_POSITIVE", "orders[1].price"),
        ({"orders": [IBM, {**IBM, "defer": True}]}, "FIELD_NOT_ALLOWED", "orders[1].defer"),
        ({"orders": [{**IBM, "client_order_id": "a"}] * 2}, "DUPLICATE_CLIENT_ORDER_ID", "orders"),
    ],
)
def test_wrong_basket_is_refused_naming_the_field(body, code, field):
    with pytest.raises(InvalidInput) as refusal:
        parse_basket(body)

    assert (refusal.value.code, refusal.value.field) == (code, field)


def test_order_of_an_unknown_symbol_leaves_nothing_of_the_basket():
    with pytest.raises(InvalidInput, match="not listed"):
        basket(IBM, BAC | {"symbol": "NONE"})

    assert not Order.objects.exists()
