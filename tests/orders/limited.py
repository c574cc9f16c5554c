"""Setting a limit, and what is said against orders and changes under it."""

from decimal import Decimal

from orders.changes import Changes, ReplaceDenied, request_replace
from orders.models import Order
from risk.limits import LimitValue, set_limits
from risk.models import Control, Scope
from tests.orders.desk import Counterparty, submit


def limit(control: Control, value, scope=Scope.FIRM, key="", *, hard=True) -> None:
    """Set a limit, the firm's if nothing else is said."""
    set_limits([LimitValue(control, Decimal(str(value)), scope, key, hard)], actor="rita", reason="a test")


def codes(order: Order) -> set[str]:
    """Why an order is denied."""
    return {denial["code"] for denial in order.denials}


def working(**body) -> Order:
    """An order that works at alpaca."""
    return Counterparty(submit(broker_name="alpaca", **body)).acknowledge()


def refusal(order: Order, **changes) -> set[str]:
    """Why a change of the order is denied; nothing when it is not."""
    try:
        request_replace(order=order, changes=Changes(**changes), actor="ann")
    except ReplaceDenied as denied:
        return {denial["code"] for denial in denied.denials}
    return set()
