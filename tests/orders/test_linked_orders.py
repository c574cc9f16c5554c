"""Brackets, "oco" and "oto" orders from the ticket to a flat position, at the real sandbox process."""

import time
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.utils import timezone

from brokers.gateway import close_gateways, gateway_for
from brokers.messages import CancelOrder, NewLeg
from brokers.models import BrokerAccount, Listing
from orders import sending, sync
from orders.changes import parse_changes, request_cancel, request_replace
from orders.manager import MultiBrokerManager
from orders.models import Execution, Order, OrderRequest, Position, ReconciliationBreak
from orders.reconcile.run import reconcile_account
from orders.streaming import DeskListener
from orders.wakeups import MOVED
from risk.models import ExposureTotal
from risk.rulebook import forget
from tests.brokers.alpaca_samples import market_order
from tests.brokers.sandbox_process import SandboxProcess, start_sandbox
from tests.orders.at_brokers import EXITS, FAR, NOW, accounts_at_alpaca, desk_at_alpaca, place, send, statuses
from tests.orders.desk import submit
from tests.orders.invariants import assert_books_balance
from tests.waiting import eventually
from tradingdesk.fix import LegRole, OrderClass, OrdStatus, RequestState, Side

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

ACCOUNTS = 40


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory) -> Iterator[SandboxProcess]:
    """One sandbox for the module; each test has an account of its own."""
    with start_sandbox(tmp_path_factory.mktemp("sandbox"), speed=0, accounts=accounts_at_alpaca(ACCOUNTS)) as sandbox:
        yield sandbox


_numbers = iter(range(ACCOUNTS))


@pytest.fixture
def name(sandbox, db, wakings, monkeypatch) -> Iterator[str]:
    forget()
    name = f"account{next(_numbers)}"
    desk_at_alpaca(sandbox, name, monkeypatch)
    sandbox.admin.push_quote("IBM", "181.90", "182.00", 100_000, 100_000)
    reconcile_account(name)
    yield name
    close_gateways()
    forget()


@pytest.fixture(params=["read", "streamed"])
def hearing(request, sandbox, name) -> Iterator[None]:
    """The desk reads its account again and again, or hears its stream as well."""
    if request.param == "read":
        yield
        return
    account = BrokerAccount.objects.get(pk=name)
    gateway = gateway_for(account)
    gateway.start(DeskListener(account, gateway))
    eventually(lambda: sandbox.admin.listens(name))
    yield


def stand(order: Order, *wanted: str) -> None:
    """Read the account until order and legs stand so."""

    def seen():
        sync.sync_account(order.account_id, reads=MOVED)
        return statuses(order) == list(wanted)

    deadline = time.monotonic() + 20
    while not seen():
        assert time.monotonic() < deadline, f"{statuses(order)}, wanted {wanted}"
        time.sleep(0.02)


def held(name: str) -> Decimal:
    return sum(Position.objects.filter(account=name, closed_at=None).values_list("qty", flat=True), Decimal(0))


def open_sells(name: str) -> Decimal:
    return ExposureTotal.objects.get(key=f"2:{name}:IBM").open_sell_qty


def agree(name: str) -> None:
    """Compare twice: no break, nothing adopted, and the desk's own sums are right."""
    reconcile_account(name)
    run = reconcile_account(name)
    assert (run.complete, run.differences) == (True, 0)
    assert not ReconciliationBreak.objects.filter(account=name, state="open").exists()
    strangers = Order.objects.filter(account=name, source=Order.Source.EXTERNAL)
    assert not strangers.exists()
    assert_books_balance()


def test_bracket_whose_profit_fills_leaves_no_stop_and_no_position(name, sandbox, hearing):
    order = place(**FAR)
    legs = list(order.legs.order_by("pk"))
    assert [(leg.client_order_id, leg.leg_role, leg.side, leg.ord_type) for leg in legs] == [
        (f"{order.client_order_id}-L1", LegRole.TAKE_PROFIT, Side.SELL, "limit"),
        (f"{order.client_order_id}-L2", LegRole.STOP_LOSS, Side.SELL, "stop"),
    ]
    assert all(leg.broker_order_id and leg.status == OrdStatus.NEW for leg in legs)
    assert open_sells(name) == 0

    sandbox.admin.push_quote("IBM", "174.90", "175.00", 100_000, 100_000)
    stand(order, "filled", "new", "new")
    assert (held(name), open_sells(name)) == (100, 100)

    sandbox.admin.push_quote("IBM", "190.00", "190.10", 100_000, 100_000)
    stand(order, "filled", "filled", "canceled")
    assert (held(name), open_sells(name), Execution.objects.count()) == (0, 0, 2)
    agree(name)


def test_bracket_whose_stop_fills_cancels_the_profit(name, sandbox, hearing):
    order = place(**NOW)
    stand(order, "filled", "new", "new")
    sandbox.admin.push_quote("IBM", "169.90", "170.00", 100_000, 100_000)
    stand(order, "filled", "canceled", "filled")
    assert (held(name), open_sells(name)) == (0, 0)
    agree(name)


def test_part_of_the_profit_is_taken_from_the_stop(name, sandbox, hearing):
    order = place(**NOW)
    stand(order, "filled", "new", "new")
    profit, loss = order.legs.order_by("pk")
    sandbox.admin.fill(profit.broker_order_id, 40, "190")
    stand(order, "filled", "partially_filled", "new")

    def reduced():
        sync.sync_account(name, reads=MOVED)
        return Order.objects.get(pk=loss.pk).order_qty == 60

    eventually(reduced)
    assert (held(name), open_sells(name)) == (60, 60)
    sandbox.admin.push_quote("IBM", "169.90", "170.00", 100_000, 100_000)
    stand(order, "filled", "canceled", "filled")
    assert (held(name), open_sells(name)) == (0, 0)
    agree(name)


def test_size_that_an_exit_had_shrunk_to_is_known_where_its_end_is_all_that_is_heard(name, sandbox):
    order = place(**NOW)
    stand(order, "filled", "new", "new")
    profit, loss = order.legs.order_by("pk")
    sandbox.admin.fill(profit.broker_order_id, 40, "190")
    sandbox.admin.act(loss.broker_order_id, "cancel")
    stand(order, "filled", "canceled", "canceled")
    loss.refresh_from_db()
    assert (loss.order_qty, loss.cum_qty, held(name), open_sells(name)) == (60, 0, 60, 0)
    agree(name)


def test_end_of_exits_that_were_named_and_never_heard_of_is_found_by_reading(name, sandbox):
    order = place(**NOW)
    stand(order, "filled", "new", "new")
    sandbox.admin.act(order.legs.first().broker_order_id, "cancel")  # which takes the other along
    named_only = {"status": "pending", "working_as": None, "working_at": None, "acknowledged_at": None}
    order.legs.update(**named_only)  # as a process leaves them that is killed right after
    stand(order, "filled", "canceled", "canceled")
    assert (held(name), open_sells(name)) == (100, 0)
    agree(name)


@pytest.mark.parametrize(("deed", "shown"), [("done_for_day", "done_for_day"), ("suspend", "suspended")])
def test_size_that_an_exit_had_shrunk_to_is_known_where_it_only_rests_by_then(name, sandbox, deed, shown):
    order = place(**NOW)
    stand(order, "filled", "new", "new")
    profit, loss = order.legs.order_by("pk")
    sandbox.admin.fill(profit.broker_order_id, 40, "190")
    sandbox.admin.act(loss.broker_order_id, deed)
    stand(order, "filled", "partially_filled", shown)
    loss.refresh_from_db()
    assert loss.order_qty == 60
    agree(name)


def test_exits_that_both_fill_are_both_booked(name, sandbox, hearing):
    order = place(**NOW)
    stand(order, "filled", "new", "new")
    profit, loss = order.legs.order_by("pk")
    sandbox.admin.fill(profit.broker_order_id, 60, "190")
    sandbox.admin.fill(loss.broker_order_id, 40, "170")

    def flat():
        sync.sync_account(name, reads=MOVED)
        return held(name) == 0

    eventually(flat)
    assert Execution.objects.filter(order__parent=order).count() == 2
    agree(name)


def test_oco_closes_a_position(name, sandbox, hearing):
    entry = send(submit(**NOW))
    eventually(lambda: sync.sync_account(name, reads=MOVED) and held(name) == 100)
    order = place("oco", side="sell", ord_type=None, price=None, time_in_force="gtc")
    assert (order.ord_type, order.price, order.legs.get().stop_px) == ("limit", Decimal(190), Decimal(170))
    stand(order, "new", "new")
    assert open_sells(name) == 100
    sandbox.admin.push_quote("IBM", "169.90", "170.00", 100_000, 100_000)
    stand(order, "canceled", "filled")
    assert (held(name), open_sells(name), entry.account_id) == (0, 0, name)
    agree(name)


def test_oco_without_a_position_is_denied_as_a_short_sale_would_be(name):
    Listing.objects.update(shortable=False)
    order = submit(order_class="oco", side="sell", ord_type=None, price=None, **EXITS)
    assert (order.status, order.denials[0]["code"]) == (OrdStatus.DENIED, "SHORT_SALE_NOT_ALLOWED")
    assert not Order.objects.filter(parent=order).exists()
    assert not OrderRequest.objects.exists()


def test_oto_places_its_one_exit_when_it_fills(name, sandbox, hearing):
    order = place("oto", take_profit=None, stop_loss={"stop_price": "170", "limit_price": "169.5"}, **NOW)
    stand(order, "filled", "new")
    leg = order.legs.get()
    assert (leg.ord_type, leg.stop_px, leg.price) == ("stop_limit", Decimal(170), Decimal("169.5"))
    sandbox.admin.push_quote("IBM", "169.90", "170.00", 100_000, 100_000)
    stand(order, "filled", "filled")
    assert held(name) == 0
    agree(name)


def test_cancelled_bracket_takes_its_legs_along(name, hearing):
    order = place(**FAR)
    stand(order, "new", "new", "new")
    request_cancel(order=order, actor="tester")
    send(order)
    stand(order, "canceled", "canceled", "canceled")
    assert open_sells(name) == 0
    agree(name)


def test_cancelled_leg_takes_the_others_along(name):
    order = place(**NOW)
    stand(order, "filled", "new", "new")
    leg = order.legs.get(leg_role=LegRole.STOP_LOSS)
    request_cancel(order=leg, actor="tester")
    send(leg)
    stand(order, "filled", "canceled", "canceled")
    assert (held(name), open_sells(name)) == (100, 0)
    agree(name)


def test_price_of_a_leg_can_be_replaced(name, sandbox, hearing):
    order = place(**NOW)
    stand(order, "filled", "new", "new")
    leg = order.legs.get(leg_role=LegRole.STOP_LOSS)
    request_replace(order=leg, changes=parse_changes({"stop_px": "175"}), actor="tester")
    send(leg)

    def moved():
        sync.sync_account(name, reads=MOVED)
        return Order.objects.get(pk=leg.pk).stop_px == 175 and statuses(order) == ["filled", "new", "new"]

    eventually(moved)
    assert open_sells(name) == 100
    sandbox.admin.push_quote("IBM", "174.90", "175.00", 100_000, 100_000)
    stand(order, "filled", "canceled", "filled")
    assert held(name) == 0
    agree(name)


def test_lost_answer_ends_in_one_bracket_with_its_legs(name, sandbox):
    sandbox.admin.fault("drop", when="after", operation="new_order")
    order = place(**NOW)
    request = order.requests.get()
    assert (request.state, statuses(order)) == (RequestState.UNKNOWN, ["pending"] * 3)
    OrderRequest.objects.update(not_before=None)
    sending.send_request(request.pk)
    stand(order, "filled", "new", "new")
    assert len(sandbox.admin.record(name)["orders"]) == 3
    agree(name)


def test_legs_that_are_heard_of_before_the_answer_are_not_strangers(name, sandbox):
    """The desk reads the account while the answer to its bracket is lost: the broker's own ids lead to its legs."""
    sandbox.admin.fault("drop", when="after", operation="new_order")
    order = place(**NOW)
    stand(order, "filled", "new", "new")
    assert order.requests.get().state == RequestState.ACCEPTED
    sandbox.admin.push_quote("IBM", "190.00", "190.10", 100_000, 100_000)
    stand(order, "filled", "filled", "canceled")
    agree(name)


def test_legs_whose_names_got_lost_are_read_with_their_order(name, sandbox):
    """A worker that was killed between the acknowledgement and the legs."""
    order = place(**FAR)
    OrderRequest.objects.filter(order__parent=order).delete()
    order.legs.update(broker_order_id=None, acknowledged_at=None, working_as=None, status="pending")
    stand(order, "new", "new", "new")
    agree(name)


def test_refused_bracket_ends_with_its_legs(name, sandbox):
    sandbox.admin.fault("error", when="before", operation="new_order", status=422)
    order = place(**FAR)
    assert statuses(order) == ["rejected"] * 3
    assert open_sells(name) == 0
    agree(name)


def test_bracket_that_was_not_sent_is_cancelled_with_its_legs(name):
    order = submit(order_class="bracket", **EXITS, **FAR)
    assert request_cancel(order=order.legs.first(), actor="tester") is None
    assert statuses(order) == ["canceled"] * 3
    assert_books_balance()


def test_claim_of_a_worker_that_was_killed_ends_in_one_bracket_with_its_legs(name, sandbox):
    sandbox.admin.fault("drop", when="after", operation="new_order")
    order = place(**NOW)
    long_ago = timezone.now() - timedelta(minutes=1)
    OrderRequest.objects.update(state=RequestState.SENDING, holder="killed", sent_at=long_ago, not_before=None)
    sending.send_request(order.requests.get().pk)
    stand(order, "filled", "new", "new")
    assert len(sandbox.admin.record(name)["orders"]) == 3
    agree(name)


def test_all_orders_cancelled_at_once_names_each_bracket_once(name, capsys):
    waiting = submit(order_class="bracket", **EXITS, **FAR)
    working = place(**FAR)
    call_command("cancel_orders", "--all")
    assert "cancels asked for: 2, not possible: 0" in capsys.readouterr().out
    assert statuses(waiting) == ["canceled"] * 3
    send(working)
    stand(working, "canceled", "canceled", "canceled")


def test_command_and_facade_take_exits(name):
    exits = ["--order-class", "bracket", "--take-profit", "190", "--stop-loss", "170", "--stop-loss-limit", "169.5"]
    call_command("place_order", "IBM", "buy", "10", *exits)
    manager = MultiBrokerManager()
    profit, loss = {"limit_price": 190.5}, {"stop_price": 170}
    order = manager.place_order_smart("IBM", 10, side="buy", order_class="bracket", take_profit=profit, stop_loss=loss)
    first, second = Order.objects.filter(parent=None).order_by("pk")
    assert (first.take_profit_px, first.stop_loss_px, first.stop_loss_limit_px) == (190, 170, Decimal("169.5"))
    assert (second, order.legs.count(), second.take_profit_px) == (order, 2, Decimal("190.5"))


def test_bracket_placed_by_hand_is_adopted_as_one(name, sandbox, by_hand):
    legs = (
        NewLeg("", LegRole.TAKE_PROFIT, price=Decimal(190)),
        NewLeg("", LegRole.STOP_LOSS, stop_px=Decimal(170)),
    )
    wanted = f"hand-{uuid4().hex[:8]}"
    made = by_hand.submit(
        market_order(client_order_id=wanted, order_qty=Decimal(7), order_class=OrderClass.BRACKET, legs=legs)
    )
    assert len(made.legs) == 2
    eventually(lambda: sync.sync_account(name, reads=MOVED) and Order.objects.filter(account=name).count() == 3)
    eventually(lambda: sync.sync_account(name, reads=MOVED) and held(name) == 7)
    parent = Order.objects.get(client_order_id=wanted)
    assert {leg.leg_role for leg in parent.legs.all()} == {LegRole.TAKE_PROFIT, LegRole.STOP_LOSS}
    reconcile_account(name)
    assert reconcile_account(name).differences == 0
    assert_books_balance()
    by_hand.cancel(CancelOrder("x", "", parent.legs.first().broker_order_id))
    stand(parent, "filled", "canceled", "canceled")
