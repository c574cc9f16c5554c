"""Rates, betas and sectors come to what is held and entered."""

from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from brokers.models import BrokerAccount, Instrument
from brokers.sectors import set_sector
from risk import exposure, measures
from risk.fx import rates_in_force, refresh_rates
from risk.measures import refresh_betas, refresh_measures
from risk.models import ExchangeRate, ExposureTotal
from tests.factories import BrokerAccountFactory, InstrumentFactory, ListingFactory, QuoteFactory
from tests.risk.portfolio.desk import tell
from tradingdesk.fix import Side

pytestmark = pytest.mark.django_db


def enter(symbol: str, notional, broker_name: str = "alpaca") -> None:
    row = exposure.lock_for_report(broker_name, symbol)
    exposure.move(row, side=Side.BUY, qty=Decimal(1), notional=Decimal(notional))


def total(key: str) -> ExposureTotal:
    return ExposureTotal.objects.get(key=key)


def quoted(symbol: str, px: str, **when) -> None:
    listing = ListingFactory(instrument=InstrumentFactory(symbol=symbol))
    QuoteFactory(listing=listing, bid_px=Decimal(px), ask_px=Decimal(px), **when)


def test_rate_comes_from_a_quote_of_the_pair_either_way_round():
    InstrumentFactory(symbol="ADS", currency="EUR"), InstrumentFactory(symbol="SONY", currency="JPY")
    quoted("EUR/USD", "1.1"), quoted("USD/JPY", "160")

    refresh_rates()

    assert rates_in_force({"EUR", "JPY"}) == {"USD": 1, "EUR": Decimal("1.1"), "JPY": Decimal("0.00625")}
    assert Instrument.objects.get(symbol="EUR/USD").quotes_wanted_at is not None


def test_rate_that_no_broker_quotes_is_what_an_account_was_told():
    InstrumentFactory(symbol="ADS", currency="EUR"), InstrumentFactory(symbol="NESN", currency="CHF")
    BrokerAccountFactory(broker_name="ib", currency="EUR", exchange_rates={"USD": "0.8", "CHF": "1.04"})

    refresh_rates()

    assert rates_in_force({"EUR", "CHF"}) == {"USD": 1, "EUR": Decimal("1.25"), "CHF": Decimal("1.3")}
    assert ExchangeRate.objects.get(currency="CHF").source == "ib"


def test_old_rate_is_none():
    InstrumentFactory(symbol="ADS", currency="EUR")
    quoted("EUR/USD", "1.1")
    refresh_rates()
    ExchangeRate.objects.update(told_at=timezone.now() - timedelta(days=4))

    assert rates_in_force({"EUR"}) == {"USD": 1}


def test_holding_in_another_currency_is_revalued_as_its_rate_moves_and_noted_when_it_is_gone():
    InstrumentFactory(symbol="ADS", currency="EUR")
    quoted("EUR/USD", "1.1")
    refresh_measures()
    enter("ADS", 1_000)
    first = total("1:alpaca").gross
    quote = Instrument.objects.get(symbol="EUR/USD").listings.get().quote
    quote.bid_px = quote.ask_px = Decimal("1.2")
    quote.save()

    assert refresh_measures() == 1
    assert (first, total("1:alpaca").gross, total("1:alpaca").without_rate) == (1_100, 1_200, 0)

    ExchangeRate.objects.update(told_at=timezone.now() - timedelta(days=4))
    quote.received_at = timezone.now() - timedelta(days=4)
    quote.save()
    refresh_measures()

    assert total("1:alpaca").without_rate == 1


def test_sector_that_a_person_gives_comes_to_the_totals():
    instrument = InstrumentFactory(symbol="IBM")
    enter("IBM", 1_000)
    set_sector(instrument=instrument, sector="Technology", actor="ann", reason="classified")

    assert refresh_measures() == 1
    assert total("3:alpaca:Technology").gross == total("1:alpaca").gross == 1_000
    assert refresh_measures() == 0


def test_beta_to_the_benchmark_comes_to_the_totals_and_is_worked_out_once_a_day():
    market = np.random.default_rng(7).normal(0.0004, 0.01, 200)
    tell("SPY", list(100 * np.cumprod(1 + market)))
    tell("IBM", list(100 * np.cumprod(1 + 1.5 * market)))
    enter("IBM", 1_000)

    refresh_measures()

    assert Instrument.objects.get(symbol="IBM").beta == pytest.approx(Decimal("1.5"), abs=Decimal("0.001"))
    assert Instrument.objects.get(symbol="SPY").quotes_wanted_at is not None
    row = total("1:alpaca")
    assert row.beta_high == pytest.approx(Decimal(1_500), abs=1)
    assert (row.beta_low, row.without_beta) == (0, 0)


def test_betas_of_several_symbols_take_the_queries_of_one(monkeypatch):
    market = np.random.default_rng(7).normal(0.0004, 0.01, 200)
    for number, symbol in enumerate(("SPY", "IBM", "BAC", "GE"), 1):
        tell(symbol, list(100 * np.cumprod(1 + number * market)))
    enter("IBM", 1_000)
    with CaptureQueriesContext(connection) as of_one:
        refresh_betas()
    Instrument.objects.update(beta=None, beta_as_of=None)
    enter("BAC", 1_000), enter("GE", 1_000)
    with CaptureQueriesContext(connection) as of_three:
        refresh_betas()

    betas = dict(Instrument.objects.exclude(symbol="SPY").values_list("symbol", "beta"))
    assert {symbol: round(beta) for symbol, beta in betas.items()} == {"IBM": 2, "BAC": 3, "GE": 4}
    assert len(of_three) == len(of_one)

    Instrument.objects.update(beta=None, beta_as_of=None)
    monkeypatch.setattr(measures, "SYMBOLS_AT_ONCE", 2)
    refresh_betas()
    assert dict(Instrument.objects.exclude(symbol="SPY").values_list("symbol", "beta")) == betas


def test_holding_without_bars_has_no_beta():
    tell("SPY", list(100 * np.cumprod(1 + np.random.default_rng(7).normal(0.0004, 0.01, 200))))
    InstrumentFactory(symbol="NEW")
    enter("NEW", 1_000)

    refresh_measures()

    assert (total("1:alpaca").without_beta, Instrument.objects.get(symbol="NEW").beta) == (1, None)


def test_desk_in_one_currency_asks_for_no_rates(django_assert_num_queries):
    BrokerAccountFactory(), InstrumentFactory(symbol="IBM")

    with django_assert_num_queries(2):
        refresh_rates()
    with django_assert_num_queries(0):
        assert rates_in_force({"USD"}) == {"USD": 1}
    assert BrokerAccount.objects.count() == 1
