"""Controls that switch a strategy off by themselves; a person switches it on again, with a reason."""

from decimal import Decimal

from orders.decision import Decision
from orders.models import Order
from risk.limits import LimitValue, set_limits
from risk.models import Control, Scope

ACTOR = "system:throttle"


def trip(order: Order, decision: Decision) -> None:
    """Restrict the strategy of an order that the throttle of repeated executions denies, in the same transaction.

    Until somebody takes the restriction away, every order of the strategy is denied by it.
    """
    tripped = [denial for denial in decision.denials if denial.control == Control.MAX_REPEATED_EXECUTIONS]
    if tripped and order.strategy:
        restricted = LimitValue(Control.RESTRICTED, Decimal(1), Scope.STRATEGY, order.strategy)
        set_limits([restricted], actor=ACTOR, reason=f"{tripped[0].code}: {order.symbol} {tripped[0].detail}"[:500])
