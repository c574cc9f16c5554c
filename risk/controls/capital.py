"""What an account may take of the desk's capital and of its broker's margin."""

from collections.abc import Iterable
from decimal import Decimal

from risk.controls.control import Case, ControlSpec, Unit, Unmeasured, above
from risk.models import Control, Scope
from risk.rules import Bound, Denial, share_of

ACCOUNTS = (Scope.FIRM, Scope.BROKER, Scope.ACCOUNT)


def _drift(case: Case, bound: Bound) -> Iterable[Denial]:
    if not case.raises_exposure:
        return
    if case.total_value <= 0:
        raise Unmeasured("the portfolio's value is not known: sync the brokers first")
    name = case.account.broker_name
    gross = case.exposure.accounts[name].gross - case.exposure.symbols[name].gross + case.verdict.gross_after
    drift = share_of(gross, case.total_value) - case.account.allocation
    yield from above(bound, "ALLOCATION_DRIFT_EXCEEDS_LIMIT", "allocation_drift", drift)


def _margin(case: Case, bound: Bound) -> Iterable[Denial]:
    """What the broker does not know yet is counted whole: what margin it will ask for that, it only tells then."""
    account = case.account
    if not case.raises_exposure:
        return
    if account.initial_margin is None or account.equity <= 0:
        raise Unmeasured(f"{account.broker_name} has told no margin")
    used = account.initial_margin + max(account.unreflected, Decimal(0)) + case.verdict.buying_power_needed
    yield from above(bound, "MARGIN_USE_EXCEEDS_LIMIT", "margin_use", share_of(used, account.equity))


MAX_ALLOCATION_DRIFT = ControlSpec(
    Control.MAX_ALLOCATION_DRIFT,
    "exposure at one account ÷ value of the whole portfolio, above the account's share of capital",
    Unit.SHARE,
    ACCOUNTS,
    _drift,
)
MAX_MARGIN_USE = ControlSpec(
    Control.MAX_MARGIN_USE,
    "margin that the broker asks, with what it does not know yet, ÷ equity",
    Unit.RATIO,
    ACCOUNTS,
    _margin,
)
