"""Which account an order goes to, and why. The core is pure; every candidate is listed with its reason.

An order that names its broker goes there or nowhere. Otherwise the account that is furthest below
its share of capital, with this order counted, gets it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from brokers.adapter import Capabilities
from brokers.models import Listing
from orders.exits import exit_prices
from orders.ticket import OrderTicket
from risk.rules import Denial
from tradingdesk.fields import fit, plain
from tradingdesk.fix import AssetClass

_CENT, _HUNDREDTH_OF_A_CENT = Decimal("0.01"), Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Candidate:
    """An account as routing sees it. `problems` are why it cannot take the order; `gross_after` has the order in it.

    `waits`: soft limits stand against it here, so it would have to be approved first.
    """

    broker_name: str
    allocation_percent: Decimal
    healthy: bool = True
    problems: tuple[Denial, ...] = ()
    gross_after: Decimal = Decimal(0)
    waits: bool = False


@dataclass(slots=True)
class Choice:
    """The router's answer; `chosen` is empty when no account is left."""

    chosen: str
    reason: str
    candidates: list[dict] = field(default_factory=list)
    denials: list[Denial] = field(default_factory=list)

    def as_dict(self) -> dict:
        """For answers."""
        return {"chosen": self.chosen, "reason": self.reason, "candidates": self.candidates}


def choose(candidates: Iterable[Candidate], *, preferred: str = "") -> Choice:
    """Rank the candidates and pick the best of those without a problem."""
    ranked = sorted(candidates, key=_rank)
    problems = {candidate.broker_name: _problems_of(candidate, preferred) for candidate in ranked}
    fit_ones = [candidate for candidate in ranked if not problems[candidate.broker_name]]
    best = fit_ones[0] if fit_ones else None
    rows = [
        _row(candidate, problems[candidate.broker_name], best, position) for position, candidate in enumerate(ranked, 1)
    ]
    if best is None:
        every = [denial for found in problems.values() for denial in found]
        return Choice("", "no account can take it", rows, every or [Denial("NO_BROKER", "no enabled account")])
    return Choice(best.broker_name, _reason(best, fit_ones, preferred), rows)


def capability_problems(ticket: OrderTicket, abilities: Capabilities, listing: Listing | None) -> Iterable[Denial]:
    """Why an account's broker cannot take this order, judged before anything is sent."""
    if listing is None or not listing.tradable:
        yield Denial("NOT_TRADABLE", f"symbol={ticket.symbol} is not tradable here", "symbol", ticket.symbol)
        return
    for name, found in abilities.objections(ticket):
        yield Denial("NOT_SUPPORTED_BY_BROKER", f"{name}={found} is not supported here", name, found)
    yield from _listing_problems(ticket, listing)
    yield from _tick_problems(ticket, listing)


def _listing_problems(ticket: OrderTicket, listing: Listing) -> Iterable[Denial]:
    if not listing.fractionable and (ticket.notional is not None or ticket.order_qty % 1 != 0):
        name = "order_qty" if ticket.notional is None else "notional"
        yield Denial("NOT_FRACTIONABLE", f"symbol={ticket.symbol} trades in whole units here", name)
    if ticket.order_qty is not None and listing.min_order_qty and ticket.order_qty < listing.min_order_qty:
        found, least = plain(ticket.order_qty), plain(listing.min_order_qty)
        yield Denial("QUANTITY_BELOW_MINIMUM", f"order_qty={found}, min={least}", "order_qty", found, least)


def _tick_problems(ticket: OrderTicket, listing: Listing) -> Iterable[Denial]:
    prices = {"price": ticket.price, "stop_px": ticket.stop_px, **exit_prices(ticket)}
    for name, value in prices.items():
        step = None if value is None else price_step(listing, value)
        if step and value % step != 0:
            yield Denial(
                "PRICE_OFF_TICK", f"{name}={plain(value)}, step={plain(step)}", name, plain(value), plain(step)
            )


def price_step(listing: Listing, price: Decimal) -> Decimal | None:
    """The smallest price step: the listing's own, else SEC Rule 612's for shares (cents from a dollar on)."""
    if listing.price_increment:
        return listing.price_increment
    if listing.instrument.asset_class == AssetClass.US_EQUITY:
        return _CENT if price >= 1 else _HUNDREDTH_OF_A_CENT
    return None


def _problems_of(candidate: Candidate, preferred: str) -> list[Denial]:
    if preferred and candidate.broker_name != preferred:
        return [
            Denial("NOT_PREFERRED", f"the order names {preferred}", "broker_name", candidate.broker_name, preferred)
        ]
    unhealthy = Denial("BROKER_UNHEALTHY", "the broker does not answer", "broker_name", candidate.broker_name)
    return list(candidate.problems) + ([] if candidate.healthy else [unhealthy])


def _load(candidate: Candidate) -> Decimal:
    """Exposure per unit of the share that the account should carry."""
    if candidate.allocation_percent <= 0:
        return Decimal("Infinity")
    return candidate.gross_after / candidate.allocation_percent


def _rank(candidate: Candidate) -> tuple[bool, Decimal, Decimal, str]:
    return candidate.waits, _load(candidate), -candidate.allocation_percent, candidate.broker_name


def _row(candidate: Candidate, problems: list[Denial], best: Candidate | None, position: int) -> dict:
    chosen = candidate is best
    if chosen:
        text = "chosen"
    elif problems:
        text = "; ".join(f"{denial.code}: {denial.detail}" for denial in problems)
    elif candidate.waits and not best.waits:
        text = f"allowed only with approval, which {best.broker_name} does not need"
    else:
        text = f"allowed, but {best.broker_name} is further below its share"
    load = _load(candidate)
    return {
        "broker_name": candidate.broker_name,
        "chosen": chosen,
        "eligible": not problems,
        "rank": position,
        "reason": text,
        "problems": [denial.as_dict() for denial in problems],
        "allocation_percent": plain(candidate.allocation_percent),
        "gross_after": plain(candidate.gross_after),
        "load": plain(fit(load)) if load.is_finite() else None,
    }


def _reason(best: Candidate, fit_ones: list[Candidate], preferred: str) -> str:
    if preferred:
        return f"the order names {preferred}"
    if len(fit_ones) == 1:
        return f"{best.broker_name} is the only account that can take it"
    if not best.waits and sum(not one.waits for one in fit_ones) == 1:
        return f"{best.broker_name} is the only account that takes it without approval"
    return f"{best.broker_name} is furthest below its share of capital ({plain(best.allocation_percent)})"
