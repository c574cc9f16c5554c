"""A plan before it is stored: every order with its price, cost, and what it does to the account's share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from brokers.fees import fees_of
from orders.models import RebalanceLeg
from orders.rebalancing.causes import Cause, books_for, cannot_trade, firm_room, limit_of
from orders.rebalancing.places import places_of, schedule_of
from orders.rebalancing.planner import plan_moves
from orders.rebalancing.reading import STRATEGY, Known
from orders.rebalancing.words import ZERO, Move, Place, Problem
from orders.ticket import OrderTicket
from tradingdesk.fields import MONEY_PLACES, fit, plain
from tradingdesk.fix import Side

_CENTS = 2
CLOSE, OPEN = RebalanceLeg.Role.CLOSE, RebalanceLeg.Role.OPEN


@dataclass(frozen=True, slots=True)
class DraftLeg:
    """One order; shares are of the account's gross exposure in the portfolio's value, as orders take effect in turn."""

    number: int
    move: int
    role: str
    broker_name: str
    symbol: str
    side: Side
    order_qty: Decimal
    step: Decimal
    px: Decimal
    fees: Decimal
    half_spread: Decimal
    share_before: Decimal
    share_after: Decimal

    @property
    def cost(self) -> Decimal:
        """Fees and half the spread, estimated."""
        return self.fees + self.half_spread


@dataclass(slots=True)
class Draft:
    """A plan that nobody has stored. `accounts` has a line for each, with gross exposure and shares as text."""

    cause: Cause
    total_value: Decimal
    legs: list[DraftLeg]
    accounts: list[dict[str, str | None]]
    problems: list[Problem]

    @property
    def cost(self) -> Decimal:
        """Of all orders, estimated."""
        return fit(sum((leg.cost for leg in self.legs), ZERO), MONEY_PLACES)

    @property
    def turnover(self) -> Decimal:
        """Value of all orders at the prices they are planned at."""
        return fit(sum((leg.order_qty * leg.px for leg in self.legs), ZERO), MONEY_PLACES)


def draft(cause: Cause, known: Known) -> Draft:
    """Plan for a cause over what was read; stores nothing and asks nobody.

    Raises:
        NotSolved: the solver found no answer in its time.
    """
    books, places = books_for(cause, known), list(places_of(known))
    found = plan_moves(books, places, room=firm_room(known))
    shares = _Shares(known, {book.broker_name: book.gross for book in books})
    legs = list(_legs(found.moves, {(one.broker_name, one.symbol): one for one in places}, known, shares))
    accounts = [
        {
            "broker_name": book.broker_name,
            "gross_before": plain(fit(book.gross, _CENTS)),
            "gross_after": plain(fit(shares.gross[book.broker_name], _CENTS)),
            "share_before": plain(shares.of(book.gross)),
            "share_after": plain(shares.of(shares.gross[book.broker_name])),
            "limit": plain(limit_of(known, book.broker_name)),
        }
        for book in books
    ]
    problems = [*found.problems, *_unknown_value(known), *_unknown_fees(known, legs)]
    return Draft(cause, known.total_value, legs, accounts, problems)


class _Shares:
    """Gross exposure of each account as one order after the other takes effect."""

    def __init__(self, known: Known, gross: Mapping[str, Decimal]):
        self.total, self.gross = known.total_value, dict(gross)

    def of(self, gross: Decimal) -> Decimal:
        """Share of the portfolio's value; zero while that is not known."""
        return fit(gross / self.total, MONEY_PLACES) if self.total > 0 else ZERO

    def move(self, broker_name: str, value: Decimal) -> tuple[Decimal, Decimal]:
        """The account's share before and after its exposure moves by a value."""
        before = self.gross[broker_name]
        self.gross[broker_name] += value
        return self.of(before), self.of(self.gross[broker_name])


def _legs(
    moves: Iterable[Move], places: Mapping[tuple[str, str], Place], known: Known, shares: _Shares
) -> Iterator[DraftLeg]:
    """All orders that leave an account come first, then those that enter another."""
    moves = list(enumerate(moves, 1))
    orders = [(number, CLOSE, move, move.giver, move.side) for number, move in moves]
    orders += [(number, OPEN, move, move.taker, move.opening_side) for number, move in moves]
    for number, (pair, role, move, name, side) in enumerate(orders, 1):
        place = places[name, move.symbol]
        step = max(places[one, move.symbol].step for one in (move.giver, move.taker))
        value = move.qty * place.mid_px
        before, after = shares.move(name, -value if role == CLOSE else value)
        yield DraftLeg(
            number=number,
            move=pair,
            role=role,
            broker_name=name,
            symbol=move.symbol,
            side=side,
            order_qty=move.qty,
            step=step,
            px=place.far_px(side),
            fees=_fees(known, name, side, move.qty, place.far_px(side)),
            half_spread=fit(move.qty * (place.ask_px - place.bid_px) / 2, MONEY_PLACES),
            share_before=before,
            share_after=after,
        )


def _fees(known: Known, name: str, side: Side, qty: Decimal, px: Decimal) -> Decimal:
    schedule = schedule_of(known, next(one for one in known.accounts if one.pk == name))
    if not schedule:
        return ZERO
    return fit(fees_of(schedule, side=side, qty=qty, px=px, on=known.now.date()).total, MONEY_PLACES)


def ticket_for(leg: DraftLeg) -> OrderTicket:
    """The order that a leg will be, as intake sees it."""
    return OrderTicket(
        symbol=leg.symbol, side=leg.side, order_qty=leg.order_qty, broker_name=leg.broker_name, strategy=STRATEGY
    )


def _unknown_value(known: Known) -> Iterator[Problem]:
    if known.total_value <= 0:
        missing = sorted({account.currency for account in known.accounts} - known.rates.keys())
        why = f"no exchange rate for {', '.join(missing)}" if missing else "sync the brokers first"
        yield Problem(
            "NO_PORTFOLIO_VALUE", f"the portfolio's value is not known ({why}): no share of it can be limited"
        )


def _unknown_fees(known: Known, legs: Iterable[DraftLeg]) -> Iterator[Problem]:
    traded = {leg.broker_name for leg in legs}
    for account in known.accounts:
        if account.pk in traded and not schedule_of(known, account) and not cannot_trade(known, account):
            detail = f"fees of {account.pk} are not known and not counted: give rebalancing.fee_schedules.{account.pk}"
            yield Problem("FEES_NOT_KNOWN", detail, account.pk)
