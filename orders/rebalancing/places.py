"""What is held, symbol by symbol and account by account, as the planner sees it. Pure over what was read."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_FLOOR, Decimal

from brokers.fees import Rate, rate_of
from brokers.models import BrokerAccount, Listing
from orders.decision import quote_of
from orders.rebalancing.halted import kept_from_adding, may_sell_short, stopped_by
from orders.rebalancing.reading import Known
from orders.rebalancing.words import ZERO, Place, Problem
from risk.models import Control, ExposureTotal, Scope
from tradingdesk.fix import Side

PART_STEP = Decimal("0.001")
_NOTHING = Rate(ZERO, ZERO)


def places_of(known: Known) -> Iterator[Place]:
    """Each symbol that is held anywhere, at each account that lists or holds it."""
    by_name = {account.pk: account for account in known.accounts}
    held = {key for key, row in known.holdings.items() if row.position_qty}
    for name, symbol in sorted(held | known.listings.keys()):
        yield _place(known, by_name[name], symbol)


def schedule_of(known: Known, account: BrokerAccount) -> str:
    """The account's fee schedule: as configured, else its broker's as a rule; "" when nobody knows."""
    return known.settings.fee_schedules.get(account.pk) or known.capabilities[account.pk].fee_schedule


def _place(known: Known, account: BrokerAccount, symbol: str) -> Place:
    key = (account.pk, symbol)
    row, listing = known.holdings.get(key), known.listings.get(key)
    stuck = _stuck(known, account, symbol, listing)
    quote = quote_of(listing) if stuck is None else None
    mark = row.mark_px if row else ZERO
    bid, ask = (quote.bid_px, quote.ask_px) if quote else (mark, mark)
    fees = {} if stuck else _rates(known, account, bid)
    return Place(
        broker_name=account.pk,
        symbol=symbol,
        bid_px=bid,
        ask_px=ask,
        qty=row.position_qty if row else ZERO,
        free=free_qty(row),
        step=_step(known, account, listing),
        min_qty=_least(known, account, listing, bid),
        max_qty=None if stuck else _most(known, key, ask),
        can_short=_can_short(known, account, symbol, listing),
        cannot_give=stuck or _in_doubt(known, key),
        cannot_take=stuck or _kept_from_adding(known, key),
        **fees,
    )


def free_qty(row: ExposureTotal | None) -> Decimal:
    """Units that are held and that no working order closes."""
    if row is None:
        return ZERO
    entered = row.open_sell_qty if row.position_qty > 0 else row.open_buy_qty
    return max(abs(row.position_qty) - entered, ZERO)


def _stuck(known: Known, account: BrokerAccount, symbol: str, listing: Listing | None) -> Problem | None:
    """Why no order in the symbol can be placed at an account."""
    where = f"{symbol} at {account.pk}"
    if listing is None or not listing.tradable:
        return Problem("NOT_TRADABLE", f"{where} is not tradable", account.pk, symbol)
    if (Control.RESTRICTED, Scope.SYMBOL, symbol, True) in known.book.limits:
        return Problem("RESTRICTED_SYMBOL", f"{symbol} is restricted", symbol=symbol)
    if halted := stopped_by(known.book, account.pk, symbol):
        return Problem("TRADING_HALTED", f"{where} is halted for {halted}", account.pk, symbol)
    if found := known.price_problem((account.pk, symbol)):
        return Problem(found.code, f"{where}: {found.detail}", account.pk, symbol)
    if known.is_foreign((account.pk, symbol)):
        detail = f"{where} is priced in {listing.instrument.currency}: moves of it are not planned"
        return Problem("OTHER_CURRENCY", detail, account.pk, symbol)
    return None


def _in_doubt(known: Known, key: tuple[str, str]) -> Problem | None:
    if key[1] in known.in_doubt.get(key[0], ()):
        return Problem("POSITION_IN_DOUBT", f"{key[1]} at {key[0]}: desk and broker do not agree on it", *key)
    return None


def _kept_from_adding(known: Known, key: tuple[str, str]) -> Problem | None:
    if halted := kept_from_adding(known.book, *key):
        return Problem("TRADING_HALTED", f"{key[1]} at {key[0]} may not be added to: halted for {halted}", *key)
    return None


def _can_short(known: Known, account: BrokerAccount, symbol: str, listing: Listing | None) -> bool:
    allowed = listing is not None and listing.shortable and account.shorting_enabled
    return allowed and may_sell_short(known.book, account.pk, symbol)


def _step(known: Known, account: BrokerAccount, listing: Listing | None) -> Decimal:
    in_parts = listing is not None and listing.fractionable and known.capabilities[account.pk].fractional
    return PART_STEP if in_parts else Decimal(1)


def _least(known: Known, account: BrokerAccount, listing: Listing | None, bid: Decimal) -> Decimal:
    """The least quantity of an order: the listing's, and what the broker wants an order in parts to be worth."""
    least = (listing.min_order_qty if listing else None) or ZERO
    worth = known.capabilities[account.pk].min_notional
    if worth and bid and _step(known, account, listing) < 1:
        # Twice as much, as the price may fall until the order is there; a whole unit always goes.
        least = max(least, min(2 * worth / bid, Decimal(1)))
    return least


def _most(known: Known, key: tuple[str, str], ask: Decimal) -> Decimal | None:
    """The most that an order may ask for by quantity and by value; room is left for a price that rises."""
    where = known.where(*key)
    by_qty, by_value = (known.book.limit(one, where) for one in (Control.MAX_ORDER_QTY, Control.MAX_ORDER_NOTIONAL))
    by_value = None if by_value is None else (by_value * Decimal("0.95") / ask).to_integral_value(ROUND_FLOOR)
    return min((one for one in (by_qty, by_value) if one is not None), default=None)


def _rates(known: Known, account: BrokerAccount, px: Decimal) -> dict[str, Decimal]:
    schedule = schedule_of(known, account)
    sell, buy = (
        rate_of(schedule, side=side, px=px, on=known.now.date()) if schedule else _NOTHING
        for side in (Side.SELL, Side.BUY)
    )
    return {"sell_rate": sell.per_unit, "buy_rate": buy.per_unit, "fee_least": sell.least}
