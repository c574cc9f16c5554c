"""The desk's front door: an order is judged, routed and committed here, or denied, or refused as malformed."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from brokers import market as brokers_market
from brokers.messages import BrokerError
from brokers.models import BrokerAccount, Instrument
from orders import wakeups
from orders.decision import (
    Decision,
    Market,
    ask_exposure,
    ask_market,
    decide,
    hold,
    price_problem,
    propose,
    quote_of,
    read_exposure,
    read_market,
    reserve,
    store_decision,
    who_asked,
)
from orders.exits import exit_prices
from orders.ids import new_client_order_id
from orders.legs import add_legs, exit_columns, refuse_taken_ids
from orders.models import Order, OrderRequest
from orders.moving import order_event
from orders.ticket import OrderTicket
from orders.tripping import trip
from orders.waiting import ask_approval, hold_back, in_short
from risk.controls.approvals import approval_wait
from risk.exposure import Exposure
from risk.portfolio.assessment import assess
from risk.portfolio.words import ProposedTrade, TradeRisk
from risk.rulebook import kept_rulebook, rulebook
from risk.rules import Place, ProposedOrder
from tradingdesk.audit import trail
from tradingdesk.errors import Conflict, InvalidInput
from tradingdesk.fields import EXACT_DIGITS, significant_digits
from tradingdesk.fix import ClosedAs, OrdStatus, OrdType, RequestKind
from tradingdesk.middleware import current_request_id
from tradingdesk.statements import Param, Select, insert, next_key, store, together

_KINDS = {OrdStatus.DENIED: "order.denied", OrdStatus.PENDING_APPROVAL: "order.held"}
BY_ITSELF = "the same as an order of its own, which another person may approve"
SEND_WITHIN = {OrdType.MARKET: timedelta(seconds=30)}
SEND_WITHIN_OTHERWISE = timedelta(minutes=5)

_order_of_id = Select(Order.objects.filter(client_order_id=Param("client_order_id")).order_by())


@dataclass(frozen=True, slots=True)
class Submission:
    """What became of a submission; `created` is False when the same order was there already."""

    order: Order
    created: bool


@dataclass(frozen=True, slots=True)
class Preview:
    """What would become of an order now.

    `needs_approval`: it is allowed, and waits for a second person. `portfolio_risk`: what it would change of the
    portfolio's risk, where that was asked for and can be measured.
    """

    allowed: bool
    needs_approval: bool
    denials: list[dict]
    warnings: list[dict]
    accounts: dict
    routing: dict
    portfolio_risk: TradeRisk | None = None


def submit_order(
    *, ticket: OrderTicket, actor: str, user=None, source: str = Order.Source.API, received_at: datetime | None = None
) -> Submission:
    """Take an order: decide it and commit everything that follows, or store it as denied.

    One transaction; locks the exposure rows in the order firm, account, symbol. The broker's
    worker is woken after the commit. The same `client_order_id` with the same body gives the
    order that is there, whatever became of it.

    Raises:
        InvalidInput: the symbol or broker is not known, or a number cannot be stored exactly; nothing is stored.
        Conflict: the id belongs to an order with another body.
    """
    received_at = received_at or timezone.now()
    with together():
        known, market = _ask_known(ticket), ask_market(ticket.symbol)
    if (earlier := known()) is not None:
        return Submission(earlier, created=False)
    market = _usable(market(), ticket)
    order = new_order(ticket, market.instrument, actor=actor, user=user, source=source, received_at=received_at)
    refuse_taken_ids(order)
    market = market if ticket.defer else with_prices(market, ticket)
    try:
        with transaction.atomic():
            if ticket.defer:
                _store_deferred(order, ticket, actor)
            else:
                decide_and_store(order, ticket, market, actor=actor)
    except IntegrityError:
        earlier = known_order(ticket)
        if earlier is None:
            raise
        return Submission(earlier, created=False)
    return Submission(order, created=True)


def send_within(ord_type: str) -> timedelta:
    """How long an order of this type may take to reach its broker."""
    return SEND_WITHIN.get(ord_type, SEND_WITHIN_OTHERWISE)


def preview_order(*, ticket: OrderTicket, actor: str, measured: bool = False) -> Preview:
    """Judge and route an order without storing or sending anything; `actor` is who would submit it.

    With `measured`, also what it would change of the portfolio's risk: that reads years of daily bars.
    Raises InvalidInput as `submit_order` does.
    """
    market = with_prices(known_market(ticket), ticket)
    held = read_exposure(market, ticket.symbol)
    decision = decide(ticket, market, held, propose(ticket, market, user=actor))
    return Preview(
        allowed=decision.allowed,
        needs_approval=bool(decision.to_approve),
        denials=[denial.as_dict() for denial in decision.denials],
        warnings=[warning.as_dict() for warning in decision.warnings],
        accounts={name: account.as_dict() for name, account in decision.verdict.accounts.items()},
        routing=decision.choice.as_dict(),
        portfolio_risk=_portfolio_risk(ticket, decision) if measured else None,
    )


def _portfolio_risk(ticket: OrderTicket, decision: Decision) -> TradeRisk | None:
    """What the order would change of the portfolio's risk, once it is filled; None where that cannot be measured."""
    sized = (one.reserve_qty for one in decision.verdict.accounts.values() if one.reserve_qty)
    qty = ticket.order_qty or next(sized, None)
    if qty is None:
        return None
    found = assess(trade=ProposedTrade(ticket.symbol, ticket.side, qty)).measured
    return found.trade if found else None


def decide_and_store(
    order: Order, ticket: OrderTicket, market: Market, *, actor: str, may_wait: bool = True
) -> Decision:
    """Decide inside the caller's transaction; the exposure rows are locked as its last reads.

    Soft limits have the order wait for approval; where it may not wait, they deny it.
    """
    proposed = propose(ticket, market, user=who_asked(order, actor), order_pk=order.pk)
    with together():
        key = next_key(Order)
        held = ask_exposure(market, proposed)
    held = held()
    order.pk = order.pk or next(iter(key()), None)
    decision = decide(ticket, market, held, proposed)
    if not may_wait:
        decision.denials = decision.denials or [replace(one, passes=BY_ITSELF) for one in decision.to_approve]
    if not decision.allowed:
        trip(order, decision)
    with together():
        if not decision.allowed:
            deny(order, decision)
        elif decision.to_approve:
            _wait(order, decision, held, proposed)
        else:
            enter(order, ticket, decision, held)
        _record(order, decision, actor)
    return decision


def enter(order: Order, ticket: OrderTicket, decision: Decision, held: Exposure) -> None:
    """Write an allowed order with all that follows: its account, reservation, legs, decisions and request."""
    order.account_id = decision.choice.chosen
    reserve(order, decision.verdict.accounts[order.account_id])
    order.refresh_status()
    with together():
        store(order)
        add_legs(order, ticket)
        hold(order, held.symbols[order.account_id])
        store_decision(order, decision)
        enqueue_new(order)


def deny(order: Order, decision: Decision) -> None:
    """Write an order that is not allowed, and why."""
    order.closed_as = ClosedAs.DENIED
    order.denials = [denial.as_dict() for denial in decision.denials]
    order.text = in_short(decision.denials)
    order.refresh_status()
    store(order)
    store_decision(order, decision)


def store_denied(order: Order, decision: Decision, *, actor: str) -> None:
    """Store an order that is not taken, with the decision that says why, inside the caller's transaction."""
    trip(order, decision)
    deny(order, decision)
    _record(order, decision, actor)


def _wait(order: Order, decision: Decision, held: Exposure, proposed: ProposedOrder) -> None:
    """Write an order that another person must approve first; it reserves nothing and goes nowhere."""
    hold_back(order, decision.to_approve)
    order.refresh_status()
    store(order)
    store_decision(order, decision)
    wait = approval_wait(rulebook(held.firm.rules_version), proposed.place())
    ask_approval(order, asked_by=proposed.user, asked_at=timezone.now(), wait=wait)


def enqueue_new(order: Order, client_order_id: str = "") -> OrderRequest:
    """Put the order in its broker's outbox, under its own id or another, and wake the worker once this is committed."""
    request = OrderRequest(
        order=order,
        broker_name=order.account_id,
        kind=RequestKind.NEW,
        client_order_id=client_order_id or order.client_order_id,
        order_qty=order.order_qty,
        price=order.price,
        stop_px=order.stop_px,
        trail_price=order.trail_price,
        time_in_force=order.time_in_force,
        send_before=order.send_before,
    )
    insert(request)
    wakeups.send_soon(request)
    return request


def known_market(ticket: OrderTicket) -> Market:
    """What the desk knows about the ticket's symbol at each account.

    Raises:
        InvalidInput: no account lists the symbol, or the broker named is not an enabled account.
    """
    return _usable(read_market(ticket.symbol), ticket)


def _usable(market: Market | None, ticket: OrderTicket) -> Market:
    if market is None:
        raise InvalidInput("UNKNOWN_SYMBOL", f"symbol={ticket.symbol} is not listed at any broker", "symbol")
    if ticket.broker_name and ticket.broker_name not in market.names:
        detail = f"broker_name={ticket.broker_name} is not an enabled account"
        raise InvalidInput("UNKNOWN_BROKER", detail, "broker_name")
    return market


def with_prices(market: Market, ticket: OrderTicket) -> Market:
    """Ask brokers for a price where the kept one cannot be used; the market as it is then.

    Network calls happen here, before the transaction; an account that does not answer stays without a price.
    """
    book, now = kept_rulebook(), timezone.now()
    stale = [
        account
        for account in market.accounts
        if account.broker_name in market.listings
        and ticket.broker_name in ("", account.broker_name)
        and market.capabilities[account.broker_name].connectionless
        and _price_missing(market, account, book, now)
    ]
    if not stale:
        return market
    for account in stale:
        _ask_price(account, market.instrument)
    Instrument.objects.filter(pk=market.instrument.pk).update(quotes_wanted_at=now)
    return read_market(ticket.symbol) or market


def _price_missing(market: Market, account: BrokerAccount, book, now: datetime) -> bool:
    instrument = market.instrument
    place = Place(account.adapter, account.broker_name, symbol=instrument.symbol, asset_class=instrument.asset_class)
    return price_problem(quote_of(market.listings[account.broker_name]), book, place, now) is not None


def _ask_price(account: BrokerAccount, instrument: Instrument) -> None:
    try:
        brokers_market.sync_quotes(account, [instrument.symbol])
    except BrokerError:
        return  # no answer leaves the account without a usable price, and the gate denies it there


def known_order(ticket: OrderTicket) -> Order | None:
    """Find the order that was taken for a ticket before; None if there is none.

    Raises:
        Conflict: the id belongs to an order with another body.
    """
    with together():
        known = _ask_known(ticket)
    return known()


def _ask_known(ticket: OrderTicket) -> Callable[[], Order | None]:
    """Do the same in a block of `together`."""
    if not ticket.client_order_id:
        return lambda: None
    found = _order_of_id.later(client_order_id=ticket.client_order_id)
    return lambda: _the_same(next(iter(found()), None), ticket)


def _the_same(known: Order | None, ticket: OrderTicket) -> Order | None:
    if known is not None and known.body_hash != ticket.body_hash():
        detail = f"client_order_id={ticket.client_order_id} belongs to another order"
        raise Conflict("DUPLICATE_CLIENT_ORDER_ID", detail, "client_order_id")
    return known


def new_order(
    ticket: OrderTicket, instrument: Instrument, *, actor: str, user, source: str, received_at: datetime
) -> Order:
    """Make the row of an order that is asked for, and store nothing.

    Raises:
        InvalidInput: a number cannot be stored exactly.
    """
    _refuse_inexact(ticket)
    now = timezone.now()
    return Order(
        client_order_id=ticket.client_order_id or new_client_order_id(),
        preferred_broker=ticket.broker_name,
        instrument=instrument,
        symbol=instrument.symbol,
        side=ticket.side,
        order_qty=ticket.order_qty,
        notional=ticket.notional,
        ord_type=ticket.ord_type,
        price=ticket.price,
        stop_px=ticket.stop_px,
        trail_price=ticket.trail_price,
        trail_percent=ticket.trail_percent,
        time_in_force=ticket.time_in_force,
        extended_hours=ticket.extended_hours,
        order_class=ticket.order_class,
        **exit_columns(ticket),
        strategy=ticket.strategy,
        list_id=ticket.list_id,
        source=source,
        submitted_by=user,
        asked_by=actor,
        body_hash=ticket.body_hash(),
        request_id=current_request_id(),
        received_at=received_at,
        created_at=now,
        send_before=now + send_within(ticket.ord_type),
    )


def _refuse_inexact(ticket: OrderTicket) -> None:
    if connection.vendor != "sqlite":
        return
    names = ("order_qty", "notional", "price", "stop_px", "trail_price", "trail_percent")
    for name, value in ({name: getattr(ticket, name) for name in names} | exit_prices(ticket)).items():
        if value is not None and significant_digits(value) > EXACT_DIGITS:
            raise InvalidInput("TOO_PRECISE", f"{name}={value}: give at most {EXACT_DIGITS} significant digits", name)


def _store_deferred(order: Order, ticket: OrderTicket, actor: str) -> None:
    insert(order)
    after = {"deferred": True, **_summary(order)}
    trail.record(order_event("order.new", order, actor=actor, request_id=order.request_id, after=after))
    wakeups.route_soon(order)


def _record(order: Order, decision: Decision, actor: str) -> None:
    kind, by = _KINDS.get(order.status, "order.routed"), {"actor": actor, "request_id": order.request_id}
    after = {"status": order.status, "denials": order.denials}
    trail.record(
        order_event("order.new", order, after=_summary(order), **by),
        order_event(kind, order, after=after, reason=decision.choice.reason, **by),
    )


def _summary(order: Order) -> dict[str, str | None]:
    names = ("side", "order_qty", "notional", "ord_type", "price", "stop_px", "time_in_force", "strategy", "source")
    values = {name: getattr(order, name) for name in names}
    return {name: f"{v:f}" if isinstance(v, Decimal) else str(v) for name, v in values.items() if v not in (None, "")}
