"""A desk whose exposure is where a test wants it, and brokers that fill what a plan sends them."""

from decimal import Decimal

from brokers.models import BrokerAccount
from orders.models import Order, Position, RebalancePlan
from orders.rebalancing import placing, plans
from risk.limits import LimitValue, set_limits
from risk.models import Control
from tests.factories import trading_desk
from tests.orders.desk import Counterparty, submit
from tradingdesk.fix import ExecType, OrdStatus, Side

VALUE = Decimal(100_000)


def lopsided_desk(qty=500, *names: str, limit: str = "0.8") -> list[BrokerAccount]:
    """Two accounts (or those named) of a portfolio worth 100,000; the first holds so many IBM at 182.45."""
    accounts = trading_desk(*names)
    BrokerAccount.objects.update(portfolio_value=(VALUE / len(accounts)).quantize(Decimal(1)), buying_power=10**6)
    for control, value in ((Control.MAX_BROKER_ALLOCATION, 1), (Control.MAX_QUOTE_AGE, 86_400)):
        allow(control, value)
    allow(Control.MAX_QUOTE_LAG, 86_400)
    buy(qty, accounts[0].pk)
    allow(Control.MAX_BROKER_ALLOCATION, limit)
    return accounts


def allow(control: Control, value) -> None:
    """Set one of the firm's limits."""
    set_limits([LimitValue(control, Decimal(value))], actor="tester", reason="for a test")


def buy(qty, broker_name: str, symbol: str = "IBM") -> Order:
    """Buy at the desk's prices, filled at once."""
    order = submit(order_qty=str(qty), ord_type="market", price=None, broker_name=broker_name, symbol=symbol)
    assert order.status == "pending", order.text
    return fill(order)


def fill(order: Order, qty=None) -> Order:
    """Have the broker take an order and fill it, whole or in part."""
    broker = Counterparty(order)
    if order.acknowledged_at is None:
        broker.tell(ExecType.NEW, status=OrdStatus.NEW)
    traded = order.order_qty - order.cum_qty if qty is None else Decimal(qty)
    broker.fill(f"E-{order.client_order_id}-{order.cum_qty}", traded, "182.45", side=Side(order.side))
    return broker.order


def close(order: Order) -> Order:
    """Have the broker end an order without filling what is left."""
    broker = Counterparty(order)
    broker.tell(ExecType.CANCELED, status=OrdStatus.CANCELED)
    return broker.order


def proposed() -> RebalancePlan:
    """The plan for the one cause that holds."""
    (plan,) = plans.propose_where_due()
    return plan


def approved() -> RebalancePlan:
    """The same, to be placed."""
    return plans.approve(plan=proposed(), actor="officer", reason="as planned")


def placed(plan: RebalancePlan) -> list[Order]:
    """Bring the plan forward; its orders, in the order they were made."""
    placing.advance(plan.pk)
    return list(Order.objects.filter(strategy=placing.STRATEGY).order_by("id"))


def held() -> dict[str, Decimal]:
    """What each account holds of IBM."""
    rows = Position.objects.filter(closed_at=None, symbol="IBM")
    return {row.account_id: row.qty for row in rows}
