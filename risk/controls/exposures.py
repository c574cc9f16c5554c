"""How much may be held and entered together. What closes a position is never held against these."""

from collections.abc import Iterable
from decimal import Decimal

from risk.controls.control import FIRM_ONLY, Case, ControlSpec, Stage, Unit, above, below
from risk.models import Control, Scope
from risk.rules import Bound, Denial, share_of
from tradingdesk.fields import plain


def _firm_gross(case: Case, bound: Bound) -> Iterable[Denial]:
    if not case.raises_exposure:
        return
    row = case.exposure.symbols[case.account.broker_name]
    gross = case.exposure.gross - row.gross + case.verdict.gross_after
    room = max(bound.value - (gross - case.verdict.gross_after + case.verdict.gross_before), Decimal(0))
    passes = f"at most {plain(room)} more at risk"
    yield from above(bound, "GROSS_EXPOSURE_EXCEEDS_LIMIT", "gross_exposure", gross, passes=passes)


def _broker_share(case: Case, bound: Bound) -> Iterable[Denial]:
    if not case.raises_exposure:
        return
    if case.total_value <= 0:
        detail = "the portfolio's value is not known: sync the brokers first"
        yield bound.denial("NO_PORTFOLIO_VALUE", detail, passes="the same order once the brokers have told it")
        return
    name = case.account.broker_name
    gross = case.exposure.accounts[name].gross - case.exposure.symbols[name].gross + case.verdict.gross_after
    share = share_of(gross, case.total_value)
    yield from above(bound, "BROKER_ALLOCATION_EXCEEDS_LIMIT", "broker_share", share)


def _brokers_enabled(case: Case, bound: Bound) -> Iterable[Denial]:
    enabled = Decimal(len(case.exposure.accounts))
    yield from below(bound, "TOO_FEW_BROKERS", "enabled accounts", enabled)


PORTFOLIO_RISK_LIMIT = ControlSpec(
    Control.PORTFOLIO_RISK_LIMIT,
    "gross exposure of the whole desk: long plus short, held and entered",
    Unit.MONEY,
    FIRM_ONLY,
    _firm_gross,
    required=True,
)
MAX_BROKER_ALLOCATION = ControlSpec(
    Control.MAX_BROKER_ALLOCATION,
    "exposure at one account ÷ value of the whole portfolio",
    Unit.SHARE,
    (Scope.FIRM, Scope.BROKER, Scope.ACCOUNT),
    _broker_share,
    required=True,
)
MIN_BROKER_DIVERSIFICATION = ControlSpec(
    Control.MIN_BROKER_DIVERSIFICATION,
    "enabled accounts wanted",
    Unit.COUNT,
    FIRM_ONLY,
    _brokers_enabled,
    stage=Stage.ORDER,
    warns_by_default=True,
    tightest=max,
)
