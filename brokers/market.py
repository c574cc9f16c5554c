"""What brokers say of accounts, instruments and prices, kept for everyone to read."""

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from brokers.gateway import gateway_for
from brokers.messages import InstrumentInfo, QuoteState
from brokers.models import BrokerAccount, Instrument, Listing, Quote

_LISTING_FIELDS = [
    "broker_instrument_id",
    "exchange",
    "tradable",
    "fractionable",
    "shortable",
    "marginable",
    "price_increment",
    "min_order_qty",
]
_QUOTE_FIELDS = ["bid_px", "bid_size", "ask_px", "ask_size", "quote_time", "received_at", "feed"]


def sync_account_figures(account: BrokerAccount) -> None:
    """Read the account's figures; they count from the moment the question was asked."""
    asked_at = timezone.now()
    state = gateway_for(account).account()
    BrokerAccount.objects.filter(pk=account.pk).update(
        account_id=state.account_id,
        currency=state.currency,
        cash=state.cash,
        equity=state.equity,
        portfolio_value=state.portfolio_value,
        buying_power=state.buying_power,
        initial_margin=state.initial_margin,
        maintenance_margin=state.maintenance_margin,
        exchange_rates={currency: f"{rate:f}" for currency, rate in state.exchange_rates.items()},
        shorting_enabled=state.shorting_enabled,
        status=BrokerAccount.Status.BLOCKED if state.trading_blocked else BrokerAccount.Status.ACTIVE,
        last_updated=asked_at,
    )


def sync_clock(account: BrokerAccount) -> None:
    """Read the market's clock at the account: whether the session is open, until when, and how far its time is ours.

    The broker's time is held against the middle of the question and its answer.
    """
    asked_at = timezone.now()
    state = gateway_for(account).clock()
    answered_at = timezone.now()
    drift = state.timestamp - (asked_at + (answered_at - asked_at) / 2)
    BrokerAccount.objects.filter(pk=account.pk).update(
        session_open=state.is_open,
        session_changes_at=state.next_close if state.is_open else state.next_open,
        clock_drift_ms=round(drift.total_seconds() * 1000),
        clock_read_at=answered_at,
    )


def sync_instruments(account: BrokerAccount, symbols: Iterable[str] | None = None) -> int:
    """Read what the account may trade (all of it, or these symbols); how many listings there are."""
    infos = gateway_for(account).instruments(symbols)
    with transaction.atomic():
        _store_listings(account, infos)
        if symbols is None:
            BrokerAccount.objects.filter(pk=account.pk).update(instruments_synced_at=timezone.now())
    return len(infos)


def sync_quotes(account: BrokerAccount, symbols: Iterable[str]) -> list[Quote]:
    """Read the latest quotes of these desk symbols at this account and keep them."""
    listings = {
        listing.broker_symbol: listing
        for listing in Listing.objects.filter(account=account, instrument__symbol__in=list(symbols), tradable=True)
    }
    if not listings:
        return []
    return _store_quotes(listings, gateway_for(account).quotes(list(listings)))


def store_quotes(account: BrokerAccount, states: Iterable[QuoteState]) -> list[Quote]:
    """Keep quotes that the account's stream brought."""
    by_symbol = {state.symbol: state for state in states}
    if not by_symbol:
        return []
    listings = Listing.objects.filter(account=account, broker_symbol__in=by_symbol)
    return _store_quotes({listing.broker_symbol: listing for listing in listings}, by_symbol.values())


def broker_symbols(account: BrokerAccount, symbols: Iterable[str]) -> list[str]:
    """The account's own spelling of the desk's symbols, where it lists them."""
    listings = Listing.objects.filter(account=account, instrument__symbol__in=list(symbols), tradable=True)
    return list(listings.values_list("broker_symbol", flat=True))


def _store_quotes(listings: dict[str, Listing], states: Iterable[QuoteState]) -> list[Quote]:
    now = timezone.now()
    quotes = [_quote_of(listings[state.symbol], state, now) for state in states if state.symbol in listings]
    Quote.objects.bulk_create(quotes, update_conflicts=True, unique_fields=["listing"], update_fields=_QUOTE_FIELDS)
    return quotes


def _store_listings(account: BrokerAccount, infos: list[InstrumentInfo]) -> None:
    instruments = [
        Instrument(symbol=info.symbol, name=info.name[:255], asset_class=info.asset_class, currency=info.currency)
        for info in infos
    ]
    Instrument.objects.bulk_create(
        instruments,
        batch_size=500,
        update_conflicts=True,
        unique_fields=["symbol"],
        update_fields=["name", "asset_class", "currency"],
    )
    _store_sectors(infos)
    keys = dict(Instrument.objects.filter(symbol__in=[info.symbol for info in infos]).values_list("symbol", "pk"))
    Listing.objects.bulk_create(
        [_listing_of(account, keys[info.symbol], info) for info in infos],
        batch_size=500,
        update_conflicts=True,
        unique_fields=["account", "instrument"],
        update_fields=_LISTING_FIELDS,
    )


def _store_sectors(infos: list[InstrumentInfo]) -> None:
    """Take sectors from brokers that tell them; the first one, or a person's, stays."""
    for info in infos:
        if info.sector:
            Instrument.objects.filter(symbol=info.symbol, sector="").update(sector=info.sector[:64])


def _listing_of(account: BrokerAccount, instrument_pk: int, info: InstrumentInfo) -> Listing:
    values = {name: getattr(info, name) for name in _LISTING_FIELDS}
    return Listing(account=account, instrument_id=instrument_pk, broker_symbol=info.symbol, **values)


def _quote_of(listing: Listing, state: QuoteState, received_at: datetime) -> Quote:
    return Quote(
        listing=listing,
        bid_px=state.bid_px,
        bid_size=state.bid_size,
        ask_px=state.ask_px,
        ask_size=state.ask_size,
        quote_time=state.quote_time,
        received_at=received_at,
        feed=state.feed,
    )
