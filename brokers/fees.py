"""What brokers charge for a trade in US shares: their commission, and what they pass on. Pure; amounts in USD.

Rates are effective-dated. SEC Section 31 and FINRA's trading activity fee (TAF) are charged on sales. Sources: SEC
releases 34-99679 and 34-104909, FINRA's schedule, Alpaca's fee schedule of September 2026, Interactive Brokers'
pricing page. Rebates and fees of exchanges are not known before the trade and not counted.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from tradingdesk.fix import Side

_ZERO = Decimal(0)
_SEC_PER_MILLION = ((date(2024, 5, 22), "27.80"), (date(2025, 5, 14), "0"), (date(2026, 4, 4), "20.60"))
_TAF = ((date(2024, 1, 1), ("0.000166", "8.30")), (date(2026, 1, 1), ("0.000195", "9.79")))
_CAT_PER_SHARE = Decimal("0.000003")
_FIXED, _FIXED_LEAST = Decimal("0.005"), Decimal(1)
_TIERED_LEAST = Decimal("0.35")
# Shares of the month up to which a rate holds; None is everything above.
_TIERS = ((300_000, "0.0035"), (3_000_000, "0.0020"), (20_000_000, "0.0015"), (100_000_000, "0.0010"), (None, "0.0005"))
_CLEARING_PER_SHARE = Decimal("0.0002")
_PASSED_ON = Decimal("0.000175") + Decimal("0.00056")  # NYSE's and FINRA's parts of the commission
_MOST_OF_VALUE = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Fees:
    """What one order costs: `commission`, `regulatory` fees, and `clearing` with what else is passed on."""

    commission: Decimal = _ZERO
    regulatory: Decimal = _ZERO
    clearing: Decimal = _ZERO

    @property
    def total(self) -> Decimal:
        """All of it."""
        return self.commission + self.regulatory + self.clearing


@dataclass(frozen=True, slots=True)
class Rate:
    """A schedule as a line, for solvers: `per_unit` above `least`; never below what `fees_of` says."""

    per_unit: Decimal
    least: Decimal


def fees_of(schedule: str, *, side: Side, qty: Decimal, px: Decimal, on: date, month_qty: Decimal = _ZERO) -> Fees:
    """What an order of `qty` at `px` costs by a schedule; `month_qty` was traded at the account this month before it.

    Raises:
        LookupError: no such schedule, or a day before its rates are known.
    """
    if schedule not in SCHEDULES:
        raise LookupError(f"no fee schedule is called {schedule!r}; there are {', '.join(SCHEDULES)}")
    return SCHEDULES[schedule](side, qty, px, on, month_qty)


def rate_of(schedule: str, *, side: Side, px: Decimal, on: date) -> Rate:
    """A schedule's line at a price: what a unit costs, and the least that an order costs.

    Raises LookupError as `fees_of` does.
    """
    unit = fees_of(schedule, side=side, qty=Decimal(1), px=px, on=on)
    per_unit, least = _LINES[schedule]
    return Rate(per_unit=per_unit + unit.regulatory, least=least)


def _nothing(side: Side, qty: Decimal, px: Decimal, on: date, month_qty: Decimal) -> Fees:
    return Fees()


def _alpaca(side: Side, qty: Decimal, px: Decimal, on: date, month_qty: Decimal) -> Fees:
    return Fees(regulatory=_regulatory(side, qty, px, on) + qty * _CAT_PER_SHARE)


def _ibkr_fixed(side: Side, qty: Decimal, px: Decimal, on: date, month_qty: Decimal) -> Fees:
    commission = min(max(qty * _FIXED, _FIXED_LEAST), qty * px * _MOST_OF_VALUE)
    return Fees(commission=commission, regulatory=_regulatory(side, qty, px, on))


def _ibkr_tiered(side: Side, qty: Decimal, px: Decimal, on: date, month_qty: Decimal) -> Fees:
    commission = min(max(_tiered(qty, month_qty), _TIERED_LEAST), qty * px * _MOST_OF_VALUE)
    clearing = qty * _CLEARING_PER_SHARE + commission * _PASSED_ON
    return Fees(commission=commission, regulatory=_regulatory(side, qty, px, on), clearing=clearing)


def _tiered(qty: Decimal, month_qty: Decimal) -> Decimal:
    """Each share at the rate of the tier that it falls into."""
    total, begin, end = _ZERO, month_qty, month_qty + qty
    floor = _ZERO
    for up_to, rate in _TIERS:
        top = end if up_to is None else Decimal(up_to)
        total += max(min(end, top) - max(begin, floor), _ZERO) * Decimal(rate)
        floor = top
    return total


def _regulatory(side: Side, qty: Decimal, px: Decimal, on: date) -> Decimal:
    if side is not Side.SELL:
        return _ZERO
    per_million = Decimal(_on(_SEC_PER_MILLION, on, "SEC fee"))
    per_share, most = _on(_TAF, on, "TAF")
    return qty * px * per_million / 1_000_000 + min(qty * Decimal(per_share), Decimal(most))


def _on(rates, on: date, what: str):
    known = [value for since, value in rates if since <= on]
    if not known:
        raise LookupError(f"the {what} of {on} is not known; rates begin on {rates[0][0]}")
    return known[-1]


SCHEDULES: Mapping[str, Callable[[Side, Decimal, Decimal, date, Decimal], Fees]] = {
    "none": _nothing,
    "alpaca": _alpaca,
    "ibkr_fixed": _ibkr_fixed,
    "ibkr_tiered": _ibkr_tiered,
}
# Commission and clearing a unit, and the least that an order costs; of the tiers the dearest.
_LINES = {
    "none": (_ZERO, _ZERO),
    "alpaca": (_ZERO, _ZERO),
    "ibkr_fixed": (_FIXED, _FIXED_LEAST),
    "ibkr_tiered": (
        Decimal(_TIERS[0][1]) * (1 + _PASSED_ON) + _CLEARING_PER_SHARE,
        _TIERED_LEAST * (1 + _PASSED_ON),
    ),
}
