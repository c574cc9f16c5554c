"""What a symbol's row adds to its account's totals and its sector's; pure."""

from decimal import Decimal

from risk.models import ExposureTotal
from tradingdesk.fields import MONEY_PLACES, fit

SUMS = ("gross", "net_high", "net_low", "beta_high", "beta_low", "without_rate", "without_beta")
ZERO, ONE = Decimal(0), Decimal(1)

Sums = tuple[Decimal, Decimal, Decimal, Decimal, Decimal, int, int]


def kept_sums(row: ExposureTotal) -> Sums:
    """The sums as the row has them."""
    return (
        row.gross,
        row.net_high,
        row.net_low,
        row.beta_high,
        row.beta_low,
        row.without_rate,
        row.without_beta,
    )


def sums_of(row: ExposureTotal) -> Sums:
    """The sums that the rest of a symbol's row makes: the worst by side of what is held and entered, and each side."""
    rate, value = row.fx_rate or ONE, row.position_qty * row.mark_px
    high = fit((value + row.open_buy_notional) * rate, MONEY_PLACES)
    low = fit((value - row.open_sell_notional) * rate, MONEY_PLACES)
    gross, beta = max(abs(high), abs(low)), row.beta
    counts = 1 if gross else 0
    without_rate = counts if row.fx_rate is None else 0
    if beta is None:
        return gross, high, low, ZERO, ZERO, without_rate, counts
    ends = fit(high * beta, MONEY_PLACES), fit(low * beta, MONEY_PLACES)
    return gross, high, low, max(ends), min(ends), without_rate, 0
