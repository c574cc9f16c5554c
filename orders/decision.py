"""Deciding an order: gate, then router, in one transaction with everything that follows from their answer.

Shared by intake, by the routing task of deferred orders, and by previews.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache

from django.db.models import Case, DateTimeField, DecimalField, F, Q, Sum, When
from django.utils import timezone

from brokers.adapter import Capabilities
from brokers.models import BrokerAccount, Instrument, Listing, Quote
from brokers.registry import adapter_class
from orders.largest import tell_largest
from orders.measuring import Question, ask_facts, facts_for
from orders.models import Order, OrderRequest, RiskDecision, RoutingDecision
from orders.routing import Candidate, Choice, capability_problems, choose
from orders.ticket import OrderTicket
from risk import exposure, fx, gate, rulebook
from risk.controls import needs_approval
from risk.facts import facts_kept
from risk.models import Control, ExposureTotal
from risk.rules import AccountVerdict, CandidateAccount, Denial, Place, ProposedOrder, Rulebook
from tradingdesk.fields import plain
from tradingdesk.fix import OrderClass, OrdStatus, RequestKind, RequestState, Side, TimeInForce
from tradingdesk.statements import Later, Param, Select, insert, together

_NEVER = datetime.max.replace(tzinfo=UTC)
_enabled_accounts = Select(BrokerAccount.objects.filter(enabled=True).select_related("health"))
_enabled_listings = Select(
    Listing.objects.filter(instrument__symbol=Param("symbol"), account__enabled=True).select_related(
        "instrument", "quote"
    )
)


@dataclass(slots=True)
class Market:
    """What the desk knows about an instrument at each enabled account, read before the decision."""

    instrument: Instrument
    accounts: list[BrokerAccount]
    listings: dict[str, Listing]
    capabilities: dict[str, Capabilities]

    @property
    def names(self) -> list[str]:
        """Names of the enabled accounts."""
        return [account.broker_name for account in self.accounts]

    @property
    def currencies(self) -> set[str]:
        """Currencies of the instrument and of the accounts."""
        return {self.instrument.currency, *(account.currency for account in self.accounts)}


@dataclass(slots=True)
class Decision:
    """Gate and router together; `denials` is empty when the order may go to `choice.chosen`."""

    verdict: gate.Verdict
    choice: Choice
    denials: list[Denial] = field(default_factory=list)

    @property
    def allowed(self) -> bool:
        """Whether an account was found that risk allows."""
        return bool(self.choice.chosen) and not self.denials

    @property
    def warnings(self) -> list[Denial]:
        """What soft limits say of the order where it is to go; of every account while it goes nowhere."""
        chosen = self.choice.chosen
        return self.verdict.warnings_at(chosen) if chosen else self.verdict.all_warnings()

    @property
    def to_approve(self) -> list[Denial]:
        """The soft limits that an allowed order may pass only with a second person's approval."""
        return [one for one in self.warnings if needs_approval(one)] if self.allowed else []


def read_market(symbol: str) -> Market | None:
    """Read every enabled account, and its listing and quote of the symbol (two queries); None when nobody lists it."""
    with together():
        market = ask_market(symbol)
    return market()


def ask_market(symbol: str) -> Callable[[], Market | None]:
    """Do the same in a block of `together`."""
    accounts, listings = _enabled_accounts.later(), _enabled_listings.later(symbol=symbol)
    return lambda: _market_of(accounts(), listings())


def _market_of(accounts: list[BrokerAccount], listings: list[Listing]) -> Market | None:
    if not listings:
        return None
    capabilities = {account.adapter: adapter_class(account.adapter).capabilities for account in accounts}
    return Market(
        listings[0].instrument,
        accounts,
        {listing.account_id: listing for listing in listings},
        {account.broker_name: capabilities[account.adapter] for account in accounts},
    )


def lock_exposure(market: Market, order: ProposedOrder) -> exposure.Exposure:
    """Lock what a decision about an order depends on, inside the caller's transaction."""
    with together():
        held = ask_exposure(market, order)
    return held()


def ask_exposure(market: Market, order: ProposedOrder) -> Callable[[], exposure.Exposure]:
    """Do the same in a block of `together`, after which what this gives is to be called at once.

    What the controls need is asked for by the rules that this process knows; `decide` asks again if they have changed.
    """
    held = exposure.ask_for_decision(market.names, order.symbol, lambda: _ask_unreflected(market.accounts))
    facts = ask_facts(_question(market, order, rulebook.kept_rulebook(), timezone.now()))
    rates = fx.ask_rates(market.currencies)

    def answered() -> exposure.Exposure:
        found = held()
        found.facts = facts()
        return _with_rates(found, rates(), market)

    return answered


def _with_rates(held: exposure.Exposure, rates: Mapping[str, Decimal], market: Market) -> exposure.Exposure:
    held.rates, held.fx_rate = rates, rates.get(market.instrument.currency)
    return held


def _question(market: Market, order: ProposedOrder, book: Rulebook, now: datetime) -> Question:
    return Question(order, book, now, market.instrument, tuple(market.names))


def read_exposure(market: Market, symbol: str) -> exposure.Exposure:
    """Read the same without locks, for a preview."""
    held = exposure.read_for_preview(market.names, symbol)
    with together():
        unreflected, rates = _ask_unreflected(market.accounts), fx.ask_rates(market.currencies)
    held.unreflected = exposure.summed(unreflected())
    return _with_rates(held, rates(), market)


def decide(
    ticket: OrderTicket, market: Market, held: exposure.Exposure, proposed: ProposedOrder, *, only: str = ""
) -> Decision:
    """Judge and route over what `held` shows, which the caller has locked (or not, for a preview).

    With `only`, that account is the one candidate: where an order works already, no other is.
    """
    book = rulebook.rulebook(held.firm.rules_version)
    now = timezone.now()
    accounts = [account for account in market.accounts if only in ("", account.broker_name)]
    candidates = list(_candidates(market, accounts, held, book, proposed, now))
    facts = facts_for(_question(market, proposed, book, now), held.facts)
    total_value = fx.total_value(market.accounts, held.rates)
    verdict = gate.judge(proposed, candidates, held, book, total_value, facts)
    tell_largest(
        verdict,
        proposed,
        {one.broker_name: one for one in candidates},
        lambda order, one: gate.judge(order, [one], held, book, total_value, facts),
    )
    choice = choose(_routable(ticket, market, accounts, held, verdict), preferred=ticket.broker_name)
    denials = list(verdict.denials)
    if not denials and not choice.chosen:
        denials = _not_routable(choice, ticket.broker_name)
    return Decision(verdict, choice, denials)


def store_decision(order: Order, decision: Decision, *, about: RequestKind = RequestKind.NEW) -> None:
    """Write the two facts of a decision; of an order that is held back only the gate's, as it goes nowhere yet."""
    verdict = decision.verdict
    risk_decision = RiskDecision(
        order=order,
        about=about,
        allowed=decision.allowed,
        denials=[denial.as_dict() for denial in decision.denials],
        accounts={name: account.as_dict() for name, account in verdict.accounts.items()},
        warnings=[warning.as_dict() for warning in decision.warnings],
        figures=verdict.figures,
    )
    insert(risk_decision)
    if about == RequestKind.NEW and order.status != OrdStatus.PENDING_APPROVAL:
        choice = decision.choice
        insert(RoutingDecision(order=order, chosen=choice.chosen, reason=choice.reason, candidates=choice.candidates))


def propose(ticket: OrderTicket, market: Market, *, user: str, order_pk: int | None = None) -> ProposedOrder:
    """What risk sees of a ticket: of a bracket its entry, of an "oco" order one exit, at the worse of both prices.

    `user` is who asks for it; `order_pk` is the order's, where there is one already.
    """
    loss = ticket.stop_loss if ticket.order_class == OrderClass.OCO else None
    if loss is not None:
        ticket = replace(ticket, price=max(ticket.price, loss.limit_price or loss.stop_price))
    return ProposedOrder(
        symbol=ticket.symbol,
        side=ticket.side,
        ord_type=ticket.ord_type,
        order_qty=ticket.order_qty,
        notional=ticket.notional,
        price=ticket.price,
        stop_px=ticket.stop_px,
        reopens=ticket.order_class in (OrderClass.BRACKET, OrderClass.OTO),
        strategy=ticket.strategy,
        asset_class=market.instrument.asset_class,
        user=user,
        order_pk=order_pk,
        preferred=ticket.broker_name,
        list_id=ticket.list_id,
        waits=ticket.extended_hours or ticket.time_in_force == TimeInForce.OPG,
    )


def who_asked(order: Order, actor: str) -> str:
    """Whose limits an order is held against: who asked for it, not whoever acts on it later, as `actor` may."""
    return order.submitted_by.get_username() if order.submitted_by_id else order.asked_by or actor


def price_problem(quote: Quote | None, book: Rulebook, place: Place, now: datetime) -> Denial | None:
    """Why a quote cannot be used: missing, not sound, or older than the limits say; None when it can."""
    if quote is None:
        return gate.no_price("NO_PRICE", f"symbol={place.symbol} has no quote here")
    if not quote.is_sound():
        bid, ask = plain(quote.bid_px), plain(quote.ask_px)
        return gate.no_price("UNSOUND_PRICE", f"bid={bid}, ask={ask}: one side is missing or they cross")
    max_age, max_lag = book.prepared(_quote_ages, place)
    if not quote.is_fresh(now, max_age=_seconds(max_age), max_lag=_seconds(max_lag)):
        age, lag = (now - quote.received_at).total_seconds(), (now - quote.quote_time).total_seconds()
        confirmed = f"quote confirmed {age:.1f} s ago (max {plain(max_age)})"
        detail = f"{confirmed}, made {lag:.1f} s ago (max {plain(max_lag)})"
        is_old = age > max_age
        control = Control.MAX_QUOTE_AGE if is_old else Control.MAX_QUOTE_LAG
        found, limit = (age, max_age) if is_old else (lag, max_lag)
        return replace(gate.no_price("STALE_PRICE", detail), control=control, found=f"{found:.1f}", limit=plain(limit))
    return None


def quote_of(listing: Listing | None) -> Quote | None:
    """The listing's quote, if it has one."""
    return getattr(listing, "quote", None) if listing else None


def _quote_ages(book: Rulebook, place: Place) -> tuple[Decimal, Decimal]:
    """Seconds that a quote may be old, and that its feed may be behind."""
    max_age = book.limit(Control.MAX_QUOTE_AGE, place) or Decimal(15)
    return max_age, book.limit(Control.MAX_QUOTE_LAG, place) or Decimal(120)


def _seconds(value: Decimal) -> timedelta:
    return timedelta(seconds=float(value))


def _candidates(
    market: Market,
    accounts: list[BrokerAccount],
    held: exposure.Exposure,
    book: Rulebook,
    order: ProposedOrder,
    now: datetime,
) -> Iterable[CandidateAccount]:
    for account in accounts:
        listing = market.listings.get(account.broker_name)
        quote = quote_of(listing)
        place = order.place(broker=account.adapter, account=account.broker_name)
        problem = price_problem(quote, book, place, now)
        unreflected = held.unreflected.get(account.broker_name) or Decimal(0)
        yield CandidateAccount(
            broker_name=account.broker_name,
            portfolio_value=account.portfolio_value,
            buying_power=account.buying_power - unreflected,
            status=account.status,
            bid_px=None if problem else quote.bid_px,
            ask_px=None if problem else quote.ask_px,
            price_problem=problem,
            can_short=bool(listing and listing.shortable and account.shorting_enabled),
            unreconciled=held.accounts[account.broker_name].unreconciled,
            adapter=account.adapter,
            bid_size=None if problem else quote.bid_size,
            ask_size=None if problem else quote.ask_size,
            fx_rate=held.rates.get(account.currency),
            allocation=account.allocation_percent,
            equity=account.equity,
            initial_margin=account.initial_margin,
            unreflected=unreflected,
            session_open=account.is_session_open(now),
            clock_drift=account.known_clock_drift(now),
        )


def _ask_unreflected(accounts: list[BrokerAccount]) -> Later:
    """Buying power held, per account, by orders that the broker did not know when it gave its figure."""
    values = {f"account{number}": account.pk for number, account in enumerate(accounts)}
    since = {f"since{number}": account.last_updated or _NEVER for number, account in enumerate(accounts)}
    return _held_since(len(accounts)).later(**values, **since)


@cache
def _held_since(count: int) -> Select:
    """The statement that sums, for this many accounts, what orders and replaces hold that are not answered, or since.

    An account may have a line for its orders and one for its replaces. Each condition is one that an index answers.
    """
    unknown_then, asked_then = Q(), Q()
    for number in range(count):
        account, since = Param(f"account{number}"), Param(f"since{number}", DateTimeField())
        unknown_then |= Q(account=account, acknowledged_at__gt=since)
        unknown_then |= Q(account=account, acknowledged_at=None, closed_at=None)
        asked_then |= Q(broker_name=account, buying_power_held__isnull=False, answered_at__gt=since)
        asked_then |= Q(broker_name=account, buying_power_held__isnull=False, answered_at=None)
    held = Case(
        When(closed_as__isnull=False, cum_qty=0, then=None), default=F("buying_power_held"), output_field=DecimalField()
    )
    rows = Order.objects.filter(unknown_then).order_by().values_list("account_id")
    replaces = OrderRequest.objects.filter(asked_then).exclude(state=RequestState.REFUSED)
    more = replaces.order_by().values_list("broker_name").annotate(total=Sum("buying_power_held"))
    return Select(rows.annotate(total=Sum(held)).union(more, all=True), by_index=True)


def _routable(
    ticket: OrderTicket,
    market: Market,
    accounts: list[BrokerAccount],
    held: exposure.Exposure,
    verdict: gate.Verdict,
) -> Iterable[Candidate]:
    for account in accounts:
        name = account.broker_name
        judged = verdict.accounts[name]
        problems = [
            *capability_problems(ticket, market.capabilities[name], market.listings.get(name)),
            *judged.denials,
        ]
        health = getattr(account, "health", None)
        yield Candidate(
            broker_name=name,
            allocation_percent=account.allocation_percent,
            healthy=health is None or health.healthy,
            problems=tuple(problems),
            waits=any(needs_approval(one) for one in judged.warnings),
            gross_after=held.accounts[name].gross + judged.gross_after - judged.gross_before,
        )


def _not_routable(choice: Choice, preferred: str) -> list[Denial]:
    """Why no account can take it: each candidate's problems, those of a named broker only if one is named."""
    rows = [row for row in choice.candidates if not preferred or row["broker_name"] == preferred]
    found = [Denial(**{**problem, "broker_name": row["broker_name"]}) for row in rows for problem in row["problems"]]
    return found or choice.denials


def reserve(order: Order, verdict_account: AccountVerdict) -> None:
    """Work out what an allowed order holds of its account's exposure."""
    for name, value in gate.reservation(verdict_account).items():
        setattr(order, name, value)
    order.refresh_reservation()


def hold(order: Order, row: ExposureTotal) -> None:
    """Enter what an order newly holds on its locked symbol row, in the sector that it was judged by."""
    if row.sector != order.instrument.sector:
        exposure.restate(row, replace(facts_kept(row), sector=order.instrument.sector))
    exposure.move(row, side=Side(order.side), qty=order.reserved_qty, notional=order.reserved_notional)
