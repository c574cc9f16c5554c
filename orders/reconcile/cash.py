"""What the desk's trades did to an account's cash since both last agreed on it."""

from dataclasses import dataclass
from decimal import Decimal

from brokers.models import BrokerAccount
from orders.lifecycle import live_trades
from orders.models import Execution, Order
from tradingdesk.fields import MONEY_PLACES, fit
from tradingdesk.fix import Side

# Brokers charge fees that no report tells of, some at the end of the day: so much is no break.
LEAST_ALLOWANCE = Decimal(1)
SHARE_OF_EQUITY = Decimal("0.0001")
FEE_LEAST = Decimal(1)
FEE_SHARE = Decimal("0.001")


@dataclass(frozen=True, slots=True)
class Traded:
    """The change of cash that executions explain, and what their fees may come to."""

    cash: Decimal = Decimal(0)
    fees_at_most: Decimal = Decimal(0)

    def allowance(self, equity: Decimal) -> Decimal:
        """How far the broker's cash may be off without a break."""
        return fit(max(LEAST_ALLOWANCE, equity * SHARE_OF_EQUITY) + self.fees_at_most, MONEY_PLACES)


def traded_since(account: BrokerAccount, after: int, through: int) -> Traded:
    """Sum what the executions with keys in (after, through] changed, busts and corrections of earlier ones too."""
    new = Execution.objects.filter(account=account, pk__gt=after, pk__lte=through)
    touched = Execution.objects.filter(order__in=new.values("order"), pk__lte=through)
    by_order: dict[int, list[Execution]] = {}
    for execution in touched.exclude(order__source=Order.Source.ADJUSTMENT).defer("raw", "text"):
        by_order.setdefault(execution.order_id, []).append(execution)
    cash = fees = Decimal(0)
    for executions in by_order.values():
        cash += cash_effect(executions) - cash_effect([one for one in executions if one.pk <= after])
        fees += sum((_fee_at_most(one) for one in executions if one.pk > after), Decimal(0))
    return Traded(fit(cash, MONEY_PLACES), fit(fees, MONEY_PLACES))


def cash_effect(executions: list[Execution]) -> Decimal:
    """What the trades that count among these did to cash: sales add to it, buys and commissions take from it."""
    trades = live_trades(executions)
    return sum((-Side(t.side).sign * t.last_qty * t.last_px - (t.commission or Decimal(0)) for t in trades), Decimal(0))


def _fee_at_most(execution: Execution) -> Decimal:
    return max(FEE_LEAST, execution.last_qty * execution.last_px * FEE_SHARE)
