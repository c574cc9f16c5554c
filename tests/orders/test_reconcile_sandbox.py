"""The desk compared with the real sandbox process: what is done behind its back, and what becomes of it."""

import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command

from brokers.gateway import close_gateways, gateway_for
from brokers.models import BrokerAccount
from orders import sending, sync
from orders.changes import parse_changes, request_replace
from orders.models import Execution, Order, Position, ReconciliationBreak, ReconciliationRun
from orders.reconcile.resolution import resolve_break
from orders.reconcile.run import reconcile_account
from risk import exposure
from risk.rulebook import forget
from tests.brokers.alpaca_samples import market_order, new_order
from tests.brokers.sandbox_process import SandboxProcess, start_sandbox
from tests.orders.at_brokers import accounts_at_alpaca, desk_at_alpaca
from tests.orders.desk import submit
from tests.orders.invariants import assert_books_balance
from tradingdesk.audit.models import AuditEvent
from tradingdesk.fix import OrdStatus, Side

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory) -> Iterator[SandboxProcess]:
    """One sandbox for the module; each test has an account of its own."""
    with start_sandbox(tmp_path_factory.mktemp("sandbox"), speed=0, accounts=accounts_at_alpaca(20)) as sandbox:
        yield sandbox


_numbers = iter(range(20))


@pytest.fixture
def name(sandbox, db, wakings, monkeypatch) -> Iterator[str]:
    """The desk's and the sandbox's account of this test, read once and found to agree."""
    forget()
    name = f"account{next(_numbers)}"
    desk_at_alpaca(sandbox, name, monkeypatch)
    sandbox.admin.push_quote("IBM", "182.44", "182.46")
    reconcile_account(name)
    yield name
    close_gateways()
    forget()


def bought(qty: str = "100", **body) -> Order:
    """An order of the desk's that filled at the broker; the desk knows of the order only."""
    order = submit(order_qty=qty, ord_type="market", price=None, **body)
    sending.send_request(order.requests.get().pk)
    return order


def resting() -> Order:
    order = submit(order_qty="10", price="150.00")
    sending.send_request(order.requests.get().pk)
    deadline = time.monotonic() + 20
    while order.status != OrdStatus.NEW:
        assert time.monotonic() < deadline
        sync.sync_orders(BrokerAccount.objects.get(pk=order.account_id))
        order.refresh_from_db()
    return order


def held(name: str) -> Decimal:
    return sum(Position.objects.filter(account=name, closed_at=None).values_list("qty", flat=True), Decimal(0))


def twice(name: str) -> ReconciliationRun:
    reconcile_account(name)
    return reconcile_account(name)


def kinds(name: str) -> set[str]:
    return set(ReconciliationBreak.objects.filter(account=name, state="open").values_list("kind", flat=True))


def blocked(name: str) -> str:
    return BrokerAccount.objects.get(pk=name).unreconciled


def test_desk_that_agrees_has_no_break_whatever_it_traded(name):
    bought("100")
    order = resting()

    run = twice(name)

    assert (run.complete, run.differences, run.orders_compared, run.positions_compared) == (True, 0, 1, 1)
    assert held(name) == 100
    assert Order.objects.get(pk=order.pk).status == OrdStatus.NEW
    assert blocked(name) == ""
    assert_books_balance()


def test_order_placed_and_filled_by_hand_is_here_after_one_run(name, by_hand):
    by_hand.submit(market_order(client_order_id=f"hand-{uuid4().hex[:8]}", order_qty=Decimal(7)))
    by_hand.submit(new_order(client_order_id=f"rest-{uuid4().hex[:8]}", price=Decimal(150)))

    run = reconcile_account(name)

    assert (run.orders_adopted, run.fills_repaired, run.differences) == (2, 1, 0)
    assert set(Order.objects.values_list("source", flat=True)) == {"external"}
    assert held(name) == 7
    assert_books_balance()


def test_cancel_by_hand_is_here_after_one_run(name, sandbox):
    order = resting()
    sandbox.admin.act(order.broker_order_id, "cancel", text="halted")

    run = reconcile_account(name)

    order.refresh_from_db()
    assert (order.status, order.reserved_qty, run.differences) == (OrdStatus.CANCELED, 0, 0)


def test_fill_made_by_hand_is_here_after_one_run(name, sandbox):
    order = resting()
    sandbox.admin.fill(order.broker_order_id, 4, "150.00")

    run = reconcile_account(name)

    order.refresh_from_db()
    assert (order.cum_qty, held(name), run.fills_repaired, run.differences) == (4, 4, 1, 0)


def test_busted_fill_opens_breaks_at_the_second_run_and_blocks_until_it_is_busted_here(name, sandbox):
    bought("100")
    reconcile_account(name)
    trade = sandbox.admin.record(name)["trades"][0]
    sandbox.admin.bust(trade["exec_id"])

    first = reconcile_account(name)
    assert first.differences > 0
    assert kinds(name) == set()

    reconcile_account(name)
    assert kinds(name) == {"fill_unknown", "transfer_or_corporate_action", "cash"}
    assert "fill_unknown" in blocked(name)
    denied = submit(order_qty="10")
    assert [denial["code"] for denial in denied.denials] == ["ACCOUNT_NOT_RECONCILED"]

    row = ReconciliationBreak.objects.get(account=name, kind="fill_unknown")
    resolve_break(row=row, take="accept", reason="the venue busted it", actor="rita")
    assert held(name) == 0
    reconcile_account(name)
    assert kinds(name) == set()
    assert blocked(name) == ""
    assert submit(order_qty="10").status == OrdStatus.PENDING
    assert_books_balance()


def test_closing_order_passes_while_the_account_is_not_reconciled(name):
    bought("100")
    reconcile_account(name)
    exposure.note_unreconciled(name, "cash cash: desk=1, broker=2")

    assert submit(side="sell", order_qty="100", price="182.00").status == OrdStatus.PENDING
    assert submit(side="buy", order_qty="1").status == OrdStatus.DENIED


def test_broker_that_does_not_answer_opens_and_closes_nothing(name, sandbox):
    bought("100")
    resting()
    reconcile_account(name)
    sandbox.admin.fault("drop", when="before", account=name, operation="positions", times=None)
    sandbox.admin.fault("error", when="before", account=name, operation="list_orders", times=None, status=500)

    run = twice(name)

    assert (run.complete, run.unread, run.differences) == (False, ["orders", "positions"], 0)
    assert kinds(name) == set()
    assert Order.objects.open().count() == 1


def test_order_that_the_broker_does_not_know_blocks_until_it_is_closed(name):
    order = resting()
    Order.objects.filter(pk=order.pk).update(broker_order_id=str(uuid4()))
    order.requests.update(client_order_id="someone-else", broker_order_id="")

    twice(name)
    row = ReconciliationBreak.objects.get(account=name, kind="order_unknown_there")
    assert (row.order_id, row.desk_value, row.broker_value) == (order.pk, "new", "no such order")
    assert row.is_open

    resolve_break(row=row, take="accept", reason="the venue lost it", actor="rita")
    order.refresh_from_db()
    assert (order.status, order.reserved_qty) == (OrdStatus.CANCELED, 0)
    assert "order_unknown_there" not in blocked(name)


def test_shares_that_no_trade_explains_are_a_transfer_and_accepting_books_an_adjustment(name):
    bought("100")
    reconcile_account(name)
    fills = Execution.objects.filter(account=name)
    assert fills.count() >= 1
    account = BrokerAccount.objects.get(pk=name)
    gateway = gateway_for(account)
    real = gateway.positions
    gateway.positions = lambda: [_doubled(held) for held in real()]

    twice(name)
    row = ReconciliationBreak.objects.get(account=name, state="open")
    assert (row.kind, row.desk_value, row.broker_value) == ("transfer_or_corporate_action", "100", "200")

    resolve_break(row=row, take="accept", reason="2:1 split", actor="rita")

    position = Position.objects.get(account=name, closed_at=None)
    assert (position.qty, position.realized_pnl) == (200, 0)
    assert position.avg_px == Decimal("91.23")
    adjustment = Execution.objects.get(account=name, order__source="adjustment")
    assert adjustment.raw == {"booked_by": "rita", "reason": "2:1 split", "break": row.pk}
    assert reconcile_account(name).differences == 0
    assert_books_balance()
    events = AuditEvent.objects.filter(kind__startswith="reconcile.", broker_name=name).order_by("id")
    found = [(event.kind, event.actor) for event in events]
    assert found == [
        ("reconcile.opened", "system:reconcile"),
        ("reconcile.blocked", "system:reconcile"),
        ("reconcile.resolved", "rita"),
        ("reconcile.unblocked", "system:reconcile"),
    ]


def _doubled(position):
    return replace(position, qty=position.qty * 2, avg_px=position.avg_px / 2)


def test_command_lists_breaks_and_exits_1_and_0_once_all_agree(name, capsys, monkeypatch):
    monkeypatch.setattr("orders.management.commands.reconcile.LOOK_AGAIN_AFTER", 0)
    order = resting()
    call_command("reconcile", broker=name)
    assert "desk and brokers agree" in capsys.readouterr().out

    Order.objects.filter(pk=order.pk).update(broker_order_id=str(uuid4()))
    order.requests.update(client_order_id="someone-else", broker_order_id="")
    with pytest.raises(CommandError) as caught:
        call_command("reconcile", broker=name)
    assert caught.value.returncode == 1
    assert "order_unknown_there" in capsys.readouterr().out
    with pytest.raises(CommandError) as caught:
        call_command("reconcile", broker="nobody")
    assert caught.value.returncode == 2


def test_sale_by_hand_of_what_the_desk_holds_keeps_cash_and_position_right(name, by_hand):
    bought("100")
    reconcile_account(name)
    by_hand.submit(market_order(client_order_id=f"hand-{uuid4().hex[:8]}", order_qty=Decimal(40), side=Side.SELL))

    run = twice(name)

    assert (held(name), run.differences) == (60, 0)
    assert_books_balance()


def test_order_that_was_replaced_after_it_traded_in_part_is_no_break(name, sandbox):
    order = resting()
    sandbox.admin.fill(order.broker_order_id, 4, "150.00")
    reconcile_account(name)
    order.refresh_from_db()
    request = request_replace(order=order, changes=parse_changes({"order_qty": "20"}), actor="ann")
    sending.send_request(request.pk)
    deadline = time.monotonic() + 20
    while order.order_qty != 20:
        assert time.monotonic() < deadline
        sync.sync_orders(BrokerAccount.objects.get(pk=name))
        order.refresh_from_db()
    sandbox.admin.fill(order.broker_order_id, 3, "150.00")

    run = twice(name)

    order.refresh_from_db()
    assert (run.orders_compared, run.differences) == (1, 0)
    assert (order.cum_qty, held(name), kinds(name)) == (7, 7, set())
    assert_books_balance()
