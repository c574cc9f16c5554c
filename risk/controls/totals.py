"""How much may be held and entered together of one direction, symbol or sector, or of the market's own moves.

Each is the worst by side of what is held and entered, in the base currency. What adds no exposure at its account, or
does not make the measured figure worse, is never held against these.
"""

from collections.abc import Iterable
from decimal import Decimal

from risk.controls.control import FIRM_ONLY, Case, ControlSpec, Unit, Unmeasured, above
from risk.models import Control, ExposureTotal, Scope
from risk.rules import Bound, Denial, Ends
from tradingdesk.fields import MONEY_PLACES, fit, plain

SECTOR_GROSS = "sector_gross"


def _row(case: Case) -> ExposureTotal:
    return case.exposure.symbols[case.account.broker_name]


def _worst(ends: Ends) -> Decimal:
    return max(map(abs, ends))


def _shifted(total: Ends, by: Ends, less: Ends) -> Ends:
    high, low = (whole + more - there for whole, more, there in zip(total, by, less, strict=True))
    return high, low


def _held_against(case: Case, bound: Bound, code: str, name: str, before: Decimal, after: Decimal) -> Iterable[Denial]:
    if after > before:
        room = max(bound.value - before, Decimal(0))
        yield from above(bound, code, name, after, passes=f"at most {plain(room)} more")


def _net(case: Case, bound: Bound) -> Iterable[Denial]:
    if not case.raises_exposure:
        return
    rows, row = case.exposure.accounts.values(), _row(case)
    total = sum((one.net_high for one in rows), Decimal(0)), sum((one.net_low for one in rows), Decimal(0))
    kept = row.net_high, row.net_low
    before, after = (_worst(_shifted(total, net, kept)) for net in (case.verdict.net_before, case.verdict.net_after))
    yield from _held_against(case, bound, "NET_EXPOSURE_EXCEEDS_LIMIT", "net_exposure", before, after)


def _symbol(case: Case, bound: Bound) -> Iterable[Denial]:
    if not case.raises_exposure:
        return
    elsewhere = sum((one.gross for one in case.exposure.symbols.values()), Decimal(0)) - _row(case).gross
    before, after = elsewhere + case.verdict.gross_before, elsewhere + case.verdict.gross_after
    yield from _held_against(case, bound, "SYMBOL_EXPOSURE_EXCEEDS_LIMIT", "symbol_exposure", before, after)


def _sector(case: Case, bound: Bound) -> Iterable[Denial]:
    if not case.raises_exposure:
        return
    sector, gross = case.fact(SECTOR_GROSS)
    if not sector:
        raise Unmeasured(f"symbol={case.order.symbol} has no sector: give it one in the back office")
    total, row = sum((gross.get(name, Decimal(0)) for name in case.exposure.accounts), Decimal(0)), _row(case)
    elsewhere = total - (row.gross if row.sector == sector else 0)
    before, after = elsewhere + case.verdict.gross_before, elsewhere + case.verdict.gross_after
    yield from _held_against(case, bound, "SECTOR_EXPOSURE_EXCEEDS_LIMIT", f"{sector} exposure", before, after)


def _beta(case: Case, bound: Bound) -> Iterable[Denial]:
    if not case.raises_exposure:
        return
    rows, row = case.exposure.accounts.values(), _row(case)
    if row.beta is None:
        raise Unmeasured(f"symbol={case.order.symbol} has no beta: daily bars of it or of the benchmark are missing")
    if unknown := sum(one.without_beta for one in rows):
        raise Unmeasured(f"symbols held or entered that have no beta={unknown}")
    total = sum((one.beta_high for one in rows), Decimal(0)), sum((one.beta_low for one in rows), Decimal(0))
    kept = row.beta_high, row.beta_low
    before, after = (
        _worst(_shifted(total, _weighed(net, row.beta), kept))
        for net in (case.verdict.net_before, case.verdict.net_after)
    )
    yield from _held_against(case, bound, "BETA_EXPOSURE_EXCEEDS_LIMIT", "beta_exposure", before, after)


def _weighed(ends: Ends, beta: Decimal) -> Ends:
    weighed = [fit(end * beta, MONEY_PLACES) for end in ends]
    return max(weighed), min(weighed)


MAX_NET_EXPOSURE = ControlSpec(
    Control.MAX_NET_EXPOSURE,
    "long less short of the whole desk, whichever is the larger",
    Unit.MONEY,
    FIRM_ONLY,
    _net,
)
MAX_SYMBOL_EXPOSURE = ControlSpec(
    Control.MAX_SYMBOL_EXPOSURE,
    "gross exposure to one symbol over all accounts",
    Unit.MONEY,
    (Scope.FIRM, Scope.SYMBOL, Scope.ASSET_CLASS),
    _symbol,
)
MAX_SECTOR_EXPOSURE = ControlSpec(
    Control.MAX_SECTOR_EXPOSURE,
    "gross exposure to one sector over all accounts",
    Unit.MONEY,
    FIRM_ONLY,
    _sector,
    needs=frozenset({SECTOR_GROSS}),
)
MAX_BETA_EXPOSURE = ControlSpec(
    Control.MAX_BETA_EXPOSURE,
    "net exposure times beta of the whole desk, whichever direction is the larger",
    Unit.MONEY,
    FIRM_ONLY,
    _beta,
)
