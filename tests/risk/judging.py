"""Rules, accounts and exposure for the tests of the gate, all in memory."""

from dataclasses import replace
from decimal import Decimal

from risk.exposure import Exposure
from risk.gate import Verdict, judge
from risk.levels import HaltInForce
from risk.models import Control, ExposureTotal, Level, Scope
from risk.rules import CandidateAccount, ProposedOrder, Rulebook
from tradingdesk.fix import OrdType, Side

LIMITS = {
    Control.MAX_ORDER_QTY: 1_000,
    Control.MAX_ORDER_NOTIONAL: 50_000,
    Control.PORTFOLIO_RISK_LIMIT: 500_000,
    Control.MAX_BROKER_ALLOCATION: Decimal("0.8"),
}
TOTAL_VALUE = Decimal(1_000_000)


def rules(halts=None, soft=(), **changes) -> Rulebook:
    """The limits above, changed by control; None takes one away."""
    values = LIMITS | {Control(name): value for name, value in changes.items()}
    limits = {(c, Scope.FIRM, "", c not in soft): Decimal(value) for c, value in values.items() if value is not None}
    return Rulebook(version=7, limits=limits, halts=halts or {})


def frozen(scope, key="", level=Level.FREEZE, operation="") -> dict:
    """A halt for a drill, as the rulebook has it."""
    return {(scope, key): [HaltInForce(scope, key, level, operation, "drill")]}


def buy(qty=100, **more) -> ProposedOrder:
    values = {"order_qty": Decimal(qty)} | {name: Decimal(str(value)) for name, value in more.items()}
    return ProposedOrder(symbol="IBM", side=Side.BUY, ord_type=OrdType.MARKET, **values)


def sell(qty=100, **more) -> ProposedOrder:
    return replace(buy(qty, **more), side=Side.SELL)


def account(name="alpaca", **more) -> CandidateAccount:
    """An account with a quote of 99 / 100 and a hundred thousand to spend."""
    sound = CandidateAccount(
        broker_name=name,
        portfolio_value=Decimal(500_000),
        buying_power=Decimal(100_000),
        status="active",
        bid_px=Decimal(99),
        ask_px=Decimal(100),
        can_short=True,
    )
    return replace(sound, **more)


def held(gross=0, **symbol_row) -> Exposure:
    """Two accounts; `alpaca` has `gross` elsewhere, and `symbol_row` of IBM."""
    row = ExposureTotal(**{name: Decimal(value) for name, value in symbol_row.items()})
    return Exposure(
        firm=ExposureTotal(rules_version=7),
        accounts={"alpaca": ExposureTotal(gross=Decimal(gross) + row.gross), "other": ExposureTotal()},
        symbols={"alpaca": row, "other": ExposureTotal()},
    )


def judged(order=None, candidate=None, exposure=None, book=None, total_value=TOTAL_VALUE) -> Verdict:
    return judge(order or buy(), [candidate or account()], exposure or held(), book or rules(), total_value)


def found(verdict: Verdict) -> list[tuple[str, str, str]]:
    return [(denial.code, denial.found, denial.limit) for denial in verdict.all_denials()]
