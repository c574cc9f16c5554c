"""A desk with a history to lose: run in its own environment, `manage.py shell -c "from … import trade; trade()"`."""

from decimal import Decimal

from orders import wakeups
from orders.changes import Changes, request_cancel, request_replace
from tests.orders.desk import Counterparty, roomy_desk, submit
from tests.orders.invariants import assert_books_balance
from tradingdesk.fix import ExecType, OrdStatus


def trade() -> None:
    """Place orders at two accounts, and leave some of every kind: filled, working, waiting, cancelled, in doubt."""
    wakeups.wake = lambda *args, **kwargs: None
    roomy_desk("alpaca", "alpaca_margin")
    for name in ("alpaca", "alpaca_margin"):
        for number in range(12):
            _one(Counterparty(submit(broker_name=name, client_order_id=f"{name}-{number}")), number)
        submit(broker_name=name, client_order_id=f"{name}-waits")
    assert_books_balance()
    submit(defer=True, client_order_id="not-routed")


def _one(broker: Counterparty, number: int) -> None:
    broker.acknowledge()
    if number % 3 == 0:
        broker.fill(f"e{number}-{broker.account.pk}", 40, Decimal("182.3"), commission="0.35")
    if number % 4 == 0:
        broker.fill(f"f{number}-{broker.account.pk}", 60, Decimal("182.4"))
    if number == 5:
        request_replace(order=broker.order, changes=Changes(order_qty=Decimal(150)), actor="ann")
    if number == 7:
        request_cancel(order=broker.order, actor="ann")
    if number == 10:
        broker.tell(ExecType.CANCELED, status=OrdStatus.CANCELED)
