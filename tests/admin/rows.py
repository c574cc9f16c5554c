"""One row of everything the back office shows, and whole orders with their history."""

from datetime import timedelta
from decimal import Decimal

from django.contrib.auth.models import Group, User
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule
from rest_framework.authtoken.models import Token, TokenProxy

from brokers.models import AccountHealth, AccountLease, AccountSnapshot, BrokerAccount
from orders.intake import submit_order
from orders.models import (
    BrokerMessage,
    DeskState,
    Execution,
    HaltCancel,
    MigrationRun,
    Order,
    QuarantinedRow,
    RebalanceLeg,
    RebalancePlan,
    ReconciliationBreak,
    ReconciliationMemory,
    ReconciliationRun,
    RiskDecision,
    RoutingDecision,
    Signal,
    SignalDecision,
)
from orders.ticket import parse_ticket
from risk.halts import halt, resume
from risk.models import EquityMark, ExchangeRate
from tests import factories
from tests.factories import OPENING
from tradingdesk.audit import trail
from tradingdesk.config.models import ConfigurationRecord
from tradingdesk.credentials.models import Credential

HTML = "<script>alert('x')</script><b>bold</b>"
DENIAL = {"code": "QUANTITY_EXCEEDS_MAXIMUM", "detail": "order_qty=101, max=100", "field": "order_qty"}


def submitted(**body) -> Order:
    """An order through intake, as people enter it."""
    given = {"symbol": "IBM", "side": "buy", "order_qty": "10", "ord_type": "limit", "price": "182.00"} | body
    return submit_order(ticket=parse_ticket(given), actor="someone").order


def order_with_history(number: int = 1, *, rows: int = 1, text: str = "") -> Order:
    """An order with so many rows of every kind of fact."""
    order = factories.OrderFactory(client_order_id=f"history-{number}", text=text, strategy=text[:64])
    position = factories.PositionFactory(
        account=order.account,
        opened_at=OPENING + timedelta(days=number),
        closed_at=OPENING + timedelta(days=number + 1),
    )
    factories.TradeLogFactory(position=position, order=order)
    breaks = [DENIAL | {"detail": text or DENIAL["detail"]}]
    factories.ApprovalFactory(order=order, breaks=breaks, asked_by=text or "someone", reason=text)
    for row in range(rows):
        key = f"{number}-{row}"
        at = OPENING + timedelta(days=number, seconds=row)
        factories.OrderRequestFactory(
            order=order, client_order_id=f"history-{key}", text=text, queued_at=at, sent_at=at
        )
        factories.ExecutionFactory(order=order, exec_id=f"exec-{key}", transact_time=at, text=text, raw={"text": text})
        _message(order, at, text)
        _decisions(order, at, text)
        _event(order, text)
    return order


def _message(order: Order, at, text: str) -> None:
    BrokerMessage.objects.create(
        account=order.account,
        order=order,
        kind="new",
        status="new",
        transact_time=at,
        text=text,
        normalized={"text": text},
        raw={"status": text},
    )


def _decisions(order: Order, at, text: str) -> None:
    denial = {**DENIAL, "detail": text or DENIAL["detail"], "broker_name": order.account_id}
    accounts = {order.account_id: {"allowed": False, "denials": [denial], "reserve_px": "182.4"}}
    RiskDecision.objects.create(
        order=order, allowed=False, denials=[denial], accounts=accounts, figures={"gross": text}, decided_at=at
    )
    row = {"broker_name": order.account_id, "chosen": True, "eligible": True, "rank": 1, "reason": text or "chosen"}
    RoutingDecision.objects.create(
        order=order, chosen=order.account_id, reason=text or "the only one", candidates=[row], decided_at=at
    )


def _event(order: Order, text: str) -> None:
    event = trail.event(
        "order.cancel_requested",
        actor="someone",
        entity="order",
        entity_key=order.client_order_id,
        client_order_id=order.client_order_id,
        broker_name=order.account_id,
        symbol=order.symbol,
        request_id="request-1",
        before={"status": text},
        after={"status": "canceled"},
        reason=text,
    )
    trail.record(event)


def one_of_each(text: str = "") -> dict:
    """One row of every model that the back office shows (at a desk that is there), by model."""
    order = order_with_history(text=text)
    account = order.account
    AccountHealth.objects.create(account=account, last_error=text, healthy=False)
    factories.DailyBarFactory(feed=text[:16])
    AccountLease.objects.create(account=account, holder=text or "worker")
    BrokerAccount.objects.filter(pk=account.pk).update(account_id=text[:64])
    _reconciliation(order, text)
    _rebalancing(order, text)
    _from_a_legacy_database(order, text)
    halted = halt(scope="symbol", scope_key="AIG", reason=text or "news", actor="someone")
    resume(halt=halted, reason=text or "over", actor="someone")
    again = halt(scope="symbol", scope_key="AIG", reason=text or "news again", actor="someone")
    HaltCancel.objects.create(halt=again, order=Order.objects.earliest("pk"))
    record = {"version": 1_000, "changed_by": "someone", "reason": text, "whole": {"x": text}, "diff": {"x": text}}
    ConfigurationRecord.objects.create(**record)
    Credential.objects.create(name="alpaca_key", token="encrypted", set_by=text[:150] or "someone")
    DeskState.objects.get_or_create(pk=1)
    ExchangeRate.objects.create(
        currency=text[:8] or "EUR", base_currency="USD", rate=1, told_at=OPENING, source=text[:64]
    )
    EquityMark.begin("account", text[:64] or "alpaca", Decimal(1), OPENING.date(), OPENING).save()
    _system_rows(text)
    assert Execution.objects.count() == 1
    assert Decimal(order.order_qty) == 100
    return {}


def _reconciliation(order: Order, text: str) -> None:
    facts = {"account": order.account, "order": order, "symbol": text[:32] or "IBM", "reason": text}
    ReconciliationBreak.objects.create(kind="position", key=text or "IBM", detail={"offset": text}, **facts)
    ReconciliationRun.objects.create(account=order.account, started_at=OPENING, complete=False, unread=[text])
    ReconciliationMemory.objects.create(account=order.account, suspected={text: [text, text]})


def _rebalancing(order: Order, text: str) -> None:
    problem = {"code": "BROKER_DOWN", "detail": text, "broker_name": text, "symbol": text}
    share = {"gross_before": "1", "gross_after": "1", "share_before": "0.5", "share_after": "0.5", "limit": None}
    said = dict.fromkeys(("reason", "proposed_by", "decided_by", "decision_reason", "text"), text)
    plan = RebalancePlan.objects.create(
        cause="asked",
        expires_at=OPENING,
        total_value=1,
        problems=[problem],
        accounts=[{"broker_name": text or "alpaca", **share}],
        **said,
    )
    RebalanceLeg.objects.create(
        plan=plan,
        number=1,
        move=1,
        role="close",
        account=order.account,
        instrument=order.instrument,
        symbol=text[:32] or "IBM",
        side="sell",
        order_qty=1,
        px=1,
        share_before=0,
        share_after=0,
        client_order_id="d1-rb1-1",
        attempt=1,
        order=order,
        text=text,
    )


def _from_a_legacy_database(order: Order, text: str) -> None:
    at = {"account": order.account, "symbol": "IBM"}
    signal = Signal.objects.create(**at, direction="buy", generated_at=OPENING, status=text[:20], legacy={"x": text})
    SignalDecision.objects.create(**at, signal=signal, decided_at=OPENING, passed=False, rejection_reason=text)
    Order.objects.filter(pk=order.pk).update(signal=signal, legacy_id=7, legacy={"x": text})
    run = MigrationRun.objects.create(
        broker_name=order.account_id, source=text, fingerprint="f", started_at=OPENING, actor=text, report={"x": text}
    )
    row = {"broker_name": order.account_id, "source_table": "orders", "source_id": "1", "row": {"x": text}}
    QuarantinedRow.objects.create(run=run, reason=text[:64] or "NOT_FINITE", detail=text, **row)
    AccountSnapshot.objects.create(account=order.account, taken_at=OPENING, metrics={"x": text})


def _system_rows(text: str) -> None:
    user = User.objects.create_user("program", email="a@example.com", first_name=text[:150])
    Token.objects.create(user=user)
    assert TokenProxy.objects.exists()
    Group.objects.get_or_create(name=text or "some group")
    interval = IntervalSchedule.objects.create(every=5, period="seconds")
    PeriodicTask.objects.create(name=text or "a task", task="orders.tasks.sweep", interval=interval)
    CrontabSchedule.objects.create(minute="5")
    ClockedSchedule.objects.create(clocked_time=OPENING)
    SolarSchedule.objects.create(event="sunrise", latitude=1, longitude=1)
