"""An order at its approval: judged again, sent where it may go, and changed no further than was approved."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from brokers.models import BrokerAccount, Quote
from orders.changes import ReplaceDenied, parse_changes, request_replace
from orders.models import Approval, Order, OrderRequest, RiskDecision, RoutingDecision
from orders.wakeups import SEND_REQUEST
from risk.halts import halt
from risk.models import Control, Scope
from tests.orders.desk import Counterparty, sent, submit
from tests.orders.invariants import assert_books_balance
from tests.orders.soft import (
    approve,
    as_stored,
    assert_nothing_goes_out,
    held_order,
    limit,
    soft_limit,
    trail_of,
)
from tradingdesk.errors import Conflict, InvalidInput

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def soft(desk, wakings):
    soft_limit()


def test_approved_order_is_judged_routed_reserved_and_sent(wakings, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        order = approve(held_order())
    assert (order.status, order.reserved_qty, order.denials, order.text) == ("pending", 100, [], "")
    assert order.account_id in ("alpaca", "alpaca_margin")
    stored = as_stored(order)
    assert (stored.status, stored.account_id, stored.working_as) == ("pending", order.account_id, None)
    request = OrderRequest.objects.get(order=order)
    assert (request.client_order_id, request.send_before) == (order.client_order_id, order.send_before)
    assert wakings.of(SEND_REQUEST)[0][0] == request.pk
    assert RoutingDecision.objects.get(order=order).chosen == order.account_id
    assert RiskDecision.objects.filter(order=order).count() == 2
    approval = Approval.objects.get()
    assert (approval.state, approval.decided_by, approval.reason) == ("approved", "rita", "hedge, checked")
    assert ("order.approved", "rita", "hedge, checked") in trail_of(order)
    assert_books_balance()


def test_approved_order_trades_like_any_other():
    order = approve(held_order())
    sent(order)
    broker = Counterparty(order)
    assert broker.acknowledge().status == "new"
    broker.fill("T-1", 100, "182.40")
    assert broker.order.status == "filled"
    assert_books_balance()


def test_time_to_send_begins_with_the_approval():
    order = held_order(ord_type="market", price=None)
    Order.objects.update(send_before=timezone.now() - timedelta(minutes=1))
    assert approve(as_stored(order)).send_before > timezone.now()


def test_approval_after_a_halt_is_refused_and_the_order_denied():
    order = held_order()
    halt(scope="firm", reason="prices look wrong", actor="rita")
    denied = approve(order)
    assert (denied.status, {one["code"] for one in denied.denials}) == ("denied", {"TRADING_HALTED"})
    assert Approval.objects.get().state == "denied"
    assert trail_of(order)[-1][:2] == ("order.denied", "rita")
    assert_nothing_goes_out(order)


def test_approval_does_not_lift_a_hard_limit_that_was_set_since():
    order = held_order()
    limit(Control.MAX_ORDER_QTY, 99)
    denied = approve(order)
    assert [one["limit"] for one in denied.denials if one["broker_name"] == "alpaca"] == ["99"]
    assert denied.status == "denied"
    assert_nothing_goes_out(order)


def test_exposure_used_up_while_it_waited_denies_it():
    order = held_order()
    limit(Control.PORTFOLIO_RISK_LIMIT, 20_000)
    assert submit(order_qty="50").status == "pending"
    assert {one["code"] for one in approve(order).denials} == {"GROSS_EXPOSURE_EXCEEDS_LIMIT"}
    assert_books_balance()


def test_missing_price_at_approval_denies_it():
    order = held_order()
    Quote.objects.update(bid_px=Decimal(0))
    assert approve(order).status == "denied"
    assert_nothing_goes_out(order)


def test_soft_limit_that_was_not_shown_is_shown_before_it_may_be_approved():
    order = held_order()
    limit(Control.MAX_ORDER_NOTIONAL, 10_000, Scope.SYMBOL, "IBM", hard=False)
    with pytest.raises(Conflict) as refused:
        approve(order)
    assert refused.value.code == "APPROVAL_CHANGED"
    assert "NOTIONAL_EXCEEDS_MAXIMUM: notional=18240, max=10000" in refused.value.detail
    waiting = Approval.objects.get()
    assert (waiting.state, {one["code"] for one in waiting.breaks}) == (
        "waiting",
        {"QUANTITY_EXCEEDS_MAXIMUM", "NOTIONAL_EXCEEDS_MAXIMUM"},
    )
    assert_nothing_goes_out(order)
    assert approve(as_stored(order)).status == "pending"


def test_soft_limit_that_went_away_does_not_stand_in_the_way():
    order = held_order()
    soft_limit(None)
    assert approve(order).status == "pending"


def test_approved_bracket_goes_with_its_legs():
    exits = {"order_class": "bracket", "take_profit": {"limit_price": "190"}, "stop_loss": {"stop_price": "170"}}
    order = held_order(**exits)
    assert not order.legs.exists()
    approved = approve(order)
    legs = list(approved.legs.order_by("pk").values_list("leg_role", "account_id", "order_qty"))
    assert legs == [("take_profit", approved.account_id, 100), ("stop_loss", approved.account_id, 100)]


def test_leg_whose_id_was_taken_while_it_waited_refuses_the_approval():
    exits = {"order_class": "oto", "stop_loss": {"stop_price": "170"}}
    order = held_order(client_order_id="B-1", **exits)
    submit(client_order_id="B-1-L1", order_qty="1")
    with pytest.raises(Conflict):
        approve(order)
    assert as_stored(order).status == "pending_approval"


def test_order_goes_where_no_soft_limit_stands_against_it():
    soft_limit(None)
    limit(Control.MAX_ORDER_QTY, 50, Scope.ACCOUNT, "alpaca", hard=False)
    assert submit().account_id == "alpaca_margin"
    order = held_order(broker_name="alpaca")
    assert approve(order).account_id == "alpaca"


def test_order_of_a_named_broker_goes_nowhere_else():
    order = held_order(broker_name="alpaca_margin")
    assert approve(order).account_id == "alpaca_margin"


def test_approval_at_a_broker_that_was_disabled_says_so_and_waits_on():
    order = held_order(broker_name="alpaca")
    BrokerAccount.objects.filter(pk="alpaca").update(enabled=False)
    with pytest.raises(InvalidInput) as refused:
        approve(order)
    assert refused.value.field == "broker_name"
    assert as_stored(order).status == "pending_approval"


def test_replace_beyond_a_soft_limit_is_denied_and_says_what_to_do():
    order = submit(order_qty="50")
    sent(order)
    Counterparty(order).acknowledge()
    with pytest.raises(ReplaceDenied) as refused:
        request_replace(order=as_stored(order), changes=parse_changes({"order_qty": "51"}), actor="ann")
    assert refused.value.code == "QUANTITY_EXCEEDS_MAXIMUM"
    assert "enter a new order" in refused.value.denials[0]["passes"]
    assert as_stored(order).reserved_qty == 50


def test_replace_of_an_approved_order_goes_as_far_as_was_approved_and_no_further():
    order = approve(held_order())
    sent(order)
    Counterparty(order).acknowledge()
    with pytest.raises(ReplaceDenied):
        request_replace(order=as_stored(order), changes=parse_changes({"order_qty": "101"}), actor="ann")
    request = request_replace(order=as_stored(order), changes=parse_changes({"order_qty": "99"}), actor="ann")
    assert request.order_qty == 99
