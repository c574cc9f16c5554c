"""How much lies in one place, and what is lost if a broker fails; pure, exact, no library."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

# What the Securities Investor Protection Corporation replaces for each customer of a failed broker, of which so much
# for cash: 15 U.S.C. 78fff-3(a), https://www.sipc.org/for-investors/what-sipc-protects
PROTECTED = Decimal(500_000)
PROTECTED_CASH = Decimal(250_000)
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Concentration:
    """Shares of the gross value by where it lies, the largest first.

    `herfindahl` is the sum of their squares (1: all in one place), `effective_number` one over it: as many equal shares
    would be as concentrated. Both None when nothing is held.
    """

    shares: Mapping[str, Decimal]
    herfindahl: Decimal | None
    effective_number: Decimal | None


@dataclass(frozen=True, slots=True)
class Failure:
    """What is lost if a broker fails and nothing is recovered of what it held, beyond what is protected."""

    equity: Decimal
    cash: Decimal
    positions: Decimal
    protected: Decimal
    lost_cash: Decimal
    lost_positions: Decimal

    @property
    def lost(self) -> Decimal:
        """Cash and positions above protection."""
        return self.lost_cash + self.lost_positions


def concentration(values: Iterable[tuple[str, Decimal]]) -> Concentration:
    """Add up absolute values by name, and say how concentrated they are (Herfindahl, Hirschman)."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for name, value in values:
        sums[name] += abs(value)
    total = sum(sums.values(), ZERO)
    if not total:
        return Concentration({}, None, None)
    ordered = sorted(sums.items(), key=lambda pair: (-pair[1], pair[0]))
    shares = {name: value / total for name, value in ordered if value}
    herfindahl = sum((share**2 for share in shares.values()), ZERO)
    return Concentration(shares, herfindahl, 1 / herfindahl)


def failure(
    *, cash: Decimal, positions: Decimal, unprotected: Decimal = ZERO, ceiling_px: Decimal = Decimal(1)
) -> Failure:
    """Say what is lost of a customer's claim on a broker: its cash, and what its positions are worth, both signed.

    A debt of one kind (a margin loan, shorts) is set off against the other first. The cash that counts as such is made
    good before positions, up to its own ceiling; positions take what the whole ceiling leaves. `unprotected` are those
    among them that are no securities (crypto, futures, currencies). `ceiling_px` is what a dollar costs in the
    amounts' currency.
    """
    equity = cash + positions
    claim_cash = max(cash + min(positions, ZERO), ZERO)
    claim_positions = max(positions + min(cash, ZERO), ZERO)
    safe_cash = min(claim_cash, PROTECTED_CASH * ceiling_px)
    securities = max(claim_positions - max(unprotected, ZERO), ZERO)
    safe_positions = min(securities, PROTECTED * ceiling_px - safe_cash)
    return Failure(
        equity=equity,
        cash=cash,
        positions=positions,
        protected=safe_cash + safe_positions,
        lost_cash=claim_cash - safe_cash,
        lost_positions=claim_positions - safe_positions,
    )
