"""The report on the portfolio's risk: every figure from real closes, and nothing left out in silence."""

from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest
from django.utils import timezone

from brokers.models import DailyBar, Instrument, Listing
from risk.portfolio import tails
from risk.portfolio.assessment import assess
from risk.portfolio.words import ProposedTrade
from tests import factories
from tests.risk.portfolio import samples
from tests.risk.portfolio.desk import account, holds, tell
from tradingdesk.errors import InvalidInput
from tradingdesk.fix import Side

pytestmark = pytest.mark.django_db
FIVE = Decimal("0.05")
CENT = Decimal("0.01")


def codes(report) -> list[str]:
    return [problem.code for problem in report.problems]


def waves(count: int, *, phase: float = 0.0) -> list[float]:
    """Closes that move, the same in every run."""
    steps = np.sin(np.arange(count) * 1.7 + phase) * 0.01
    return list(100 * np.cumprod(1 + steps))


@pytest.fixture(scope="session")
def real(shared) -> dict[str, list[float]]:
    """Closes of 2010 to 2012 on the days that all symbols have: 501 of them, for 500 returns."""
    series = {symbol: samples.closes(shared, symbol) for symbol in ("IBM", "BAC")}
    days = sorted(day for day in set.intersection(*map(set, series.values())) if "20100101" <= day <= "20121231")[-501:]
    return {symbol: [closes[day] for day in days] for symbol, closes in series.items()}


@pytest.fixture
def book(real) -> dict[str, np.ndarray]:
    """IBM at Alpaca and short BAC at Interactive Brokers; their returns."""
    account("alpaca", portfolio_value=600_000, equity=600_000, cash=300_000)
    account("ib", adapter="interactive_brokers", portfolio_value=400_000, equity=400_000, cash=500_000)
    holds("IBM", 1000, "191.55", sector="Technology")
    holds("BAC", -5000, "11.61", "ib", sector="Financial")
    tell("IBM", real["IBM"])
    tell("BAC", real["BAC"], "ib")
    return {symbol: np.array(closes)[1:] / np.array(closes)[:-1] - 1 for symbol, closes in real.items()}


def test_losses_are_those_of_the_series_of_profits(book):
    report = assess()
    profits = book["IBM"] * 191_550 + book["BAC"] * -58_050
    assert report.complete
    assert (report.gross, report.net, report.total_value) == (249_600, 133_500, 1_000_000)
    assert [loss.tail for loss in report.measured.losses] == [FIVE, Decimal("0.025"), CENT]
    for found in report.measured.losses:
        past, normal = tails.historical(profits, found.tail), tails.normal(profits, found.tail)
        late = tails.ewma(profits, found.tail)
        for name, expected in (("historical", past), ("normal", normal), ("ewma", late)):
            assert float(getattr(found, f"{name}_var")) == pytest.approx(expected.var, abs=0.006)
            assert float(getattr(found, f"{name}_es")) == pytest.approx(expected.es, abs=0.006)


def test_components_by_symbol_and_by_account_add_up_to_the_normal_var(book):
    measured = assess().measured
    whole = measured.losses[0].normal_var
    for parts in (measured.components, measured.accounts):
        assert abs(sum(part.var for part in parts) - whole) <= CENT
        assert sum(part.share for part in parts) == pytest.approx(1, abs=1e-5)
    assert [(part.name, part.value) for part in measured.components] == [("IBM", 191_550), ("BAC", -58_050)]
    assert measured.components[0].var > measured.components[1].var


def test_history_says_whose_bars_and_which_days(book):
    history = assess().measured.history
    assert (history.days, history.coverage, history.covariance) == (500, 1, "sample")
    assert history.sources == {"IBM": "alpaca", "BAC": "ib"}
    assert history.last == timezone.now().date() - timedelta(days=1) or history.last.isoweekday() == 5


def test_accounts_at_different_brokers_are_correlated_by_what_they_hold(book):
    [pair] = assess().measured.correlations.accounts
    expected = -np.corrcoef(book["IBM"], book["BAC"])[0, 1]  # one of them is short
    assert (pair.first, pair.second, pair.same_broker) == ("alpaca", "ib", False)
    assert float(pair.correlation) == pytest.approx(expected, abs=1e-6)


def test_symbols_are_correlated_and_spread(book):
    found = assess().measured.correlations
    [pair] = found.symbols
    assert float(pair.correlation) == pytest.approx(np.corrcoef(book["IBM"], book["BAC"])[0, 1], abs=1e-6)
    assert found.average == pair.correlation
    assert found.diversification_ratio > 1
    assert float(found.independent_bets) == pytest.approx(float(found.diversification_ratio) ** 2, abs=1e-5)


def test_concentration_is_by_symbol_sector_currency_broker_and_account(book):
    found = assess().concentrations
    share = Decimal(191_550) / 249_600
    assert found["symbol"].shares == {"IBM": share, "BAC": 1 - share}
    assert list(found["sector"].shares) == ["Technology", "Financial"]
    assert list(found["broker"].shares) == ["alpaca", "interactive_brokers"]
    assert list(found["account"].shares) == ["alpaca", "ib"]
    assert (found["currency"].shares, found["currency"].herfindahl) == ({"USD": 1}, 1)
    assert found["symbol"].herfindahl == share**2 + (1 - share) ** 2


def test_a_brokers_failure_costs_what_is_above_protection_over_all_accounts_there(book):
    account("alpaca_margin", adapter="alpaca", portfolio_value=200_000, equity=200_000, cash=-100_000)
    report = assess()
    alpaca, ib = report.failures
    assert (alpaca.broker, alpaca.broker_names) == ("alpaca", ["alpaca", "alpaca_margin"])
    assert (alpaca.loss.equity, alpaca.loss.cash, alpaca.loss.positions) == (800_000, 200_000, 600_000)
    assert (alpaca.loss.lost_cash, alpaca.loss.lost_positions, alpaca.share) == (0, 300_000, Decimal("0.25"))
    assert (ib.loss.cash, ib.loss.positions, ib.loss.lost_cash) == (500_000, -100_000, 150_000)


def test_what_is_no_security_is_lost_with_its_broker(book):
    holds("BTC/USD", 2, 60_000, asset_class="crypto")
    alpaca = next(one for one in assess().failures if one.broker == "alpaca")
    # 300,000 of positions, of which 120,000 are coins; 180,000 securities and 250,000 cash are protected
    assert (alpaca.loss.lost_cash, alpaca.loss.lost_positions) == (50_000, 120_000)


def test_a_trade_is_told_before_after_and_the_difference(book):
    report = assess(trade=ProposedTrade("IBM", Side.SELL, Decimal(1000)))
    trade = report.measured.trade
    short = tails.historical(book["BAC"] * -58_050, FIVE)
    assert trade.value == -191_550  # at the mark, as no quote is kept
    assert trade.before == report.measured.losses[0]
    assert float(trade.after.historical_var) == pytest.approx(short.var, rel=0.06)
    assert trade.incremental.historical_var == trade.after.historical_var - trade.before.historical_var
    assert trade.incremental.normal_var == trade.after.normal_var - trade.before.normal_var < 0


def test_a_trade_that_hedges_takes_risk_away_and_one_that_adds_brings_more(book):
    more = assess(trade=ProposedTrade("IBM", Side.BUY, Decimal(100))).measured.trade
    less = assess(trade=ProposedTrade("IBM", Side.SELL, Decimal(100))).measured.trade
    assert more.incremental.normal_var > 0 > less.incremental.normal_var


def test_a_trade_is_valued_at_the_newest_sound_quote_and_its_symbol_is_watched_from_now_on(book):
    factories.QuoteFactory(listing=Listing.objects.get(broker_symbol="IBM"))
    trade = assess(trade=ProposedTrade("IBM", Side.BUY, Decimal(10))).measured.trade
    assert trade.value == Decimal("1824.50")
    assert Instrument.objects.get(symbol="IBM").quotes_wanted_at is not None


def test_a_first_trade_of_an_empty_desk_can_be_measured(real):
    tell("IBM", real["IBM"])
    report = assess(trade=ProposedTrade("IBM", Side.BUY, Decimal(100)))
    assert report.measured.trade.before.historical_var == 0
    assert report.measured.trade.incremental.historical_var > 0
    assert report.measured.components == []


def test_the_tail_is_that_of_components_and_trade(book):
    report = assess(tail=CENT, trade=ProposedTrade("IBM", Side.BUY, Decimal(1)))
    assert report.measured.tail == report.measured.trade.before.tail == CENT
    whole = sum(part.var for part in report.measured.components)
    assert abs(whole - report.measured.losses[2].normal_var) <= CENT


# What is missing is said


def test_nothing_held_is_a_report_without_figures():
    account("alpaca")
    report = assess()
    assert (report.gross, report.measured, report.problems) == (0, None, [])


def test_a_position_without_price_is_named_and_counts_nowhere(book):
    holds("XYZ", 10, 0)
    report = assess()
    assert codes(report) == ["MISSING_PRICE"]
    assert (report.problems[0].symbol, report.problems[0].broker_name) == ("XYZ", "alpaca")
    assert not report.complete
    assert report.gross == 249_600


def test_a_position_without_quote_is_valued_at_its_last_close_and_said(book):
    holds("XYZ", 10, 0)
    tell("XYZ", [*waves(200), 50.0])
    report = assess()
    assert codes(report) == ["PRICE_FROM_LAST_CLOSE"]
    assert report.gross == 249_600 + 500


@pytest.mark.parametrize(
    ("closes", "days_ago", "code"),
    [([], 1, "MISSING_BARS"), (waves(125), 1, "TOO_FEW_BARS"), (waves(300), 30, "STALE_BARS")],
)
def test_a_position_without_enough_days_is_named_and_the_coverage_says_how_much_is_measured(
    book, closes, days_ago, code
):
    holds("XYZ", 1000, "249.6")
    tell("XYZ", closes, last=timezone.now().date() - timedelta(days=days_ago))
    report = assess()
    assert codes(report) == [code]
    assert report.measured.history.coverage == Decimal("0.5")
    assert {part.name for part in report.measured.components} == {"IBM", "BAC"}
    assert report.concentrations["symbol"].shares["XYZ"] == Decimal("0.5")


def test_six_months_are_just_enough():
    holds("XYZ", 10, 100)
    tell("XYZ", waves(126))
    report = assess()
    assert (report.complete, report.measured.history.days) == (True, 125)


def test_few_days_for_many_symbols_are_shrunk():
    for number in range(13):
        holds(f"S{number}", 10, 100)
        tell(f"S{number}", waves(126, phase=number))
    history = assess().measured.history
    assert history.covariance == "ledoit_wolf"
    assert 0 < history.shrinkage <= 1


def test_bars_of_the_account_that_has_most_are_taken():
    holds("XYZ", 10, 100)
    tell("XYZ", waves(150))
    tell("XYZ", waves(300), "other")
    history = assess().measured.history
    assert (history.days, history.sources) == (299, {"XYZ": "other"})


def test_days_that_one_symbol_lacks_are_left_out_for_all():
    holds("XYZ", 10, 100)
    holds("ABC", 10, 100)
    tell("XYZ", waves(200))
    tell("ABC", waves(200))
    days = list(DailyBar.objects.filter(listing__broker_symbol="ABC").values_list("day", flat=True)[50:53])
    DailyBar.objects.filter(listing__broker_symbol="ABC", day__in=days).delete()
    assert assess().measured.history.days == 196


def test_symbols_without_enough_common_days_have_no_figures():
    for symbol in ("XYZ", "ABC"):
        holds(symbol, 10, 100)
        tell(symbol, waves(280))
    days = list(DailyBar.objects.filter(listing__broker_symbol="ABC").order_by("-day").values_list("day", flat=True))
    DailyBar.objects.filter(listing__broker_symbol="ABC", day__in=days[2::2]).delete()
    DailyBar.objects.filter(listing__broker_symbol="XYZ", day__in=days[1::2]).delete()
    report = assess()
    assert codes(report) == ["TOO_FEW_COMMON_DAYS"]
    assert report.measured is None
    assert report.gross == 2000


def test_a_disabled_accounts_position_is_named_and_does_not_count(book):
    holds("IBM", 10, 100, "off")
    account("off", enabled=False)
    report = assess()
    assert codes(report) == ["ACCOUNT_DISABLED"]
    assert report.gross == 249_600


def test_an_account_that_was_never_read_is_named(book):
    account("new", last_updated=None)
    assert codes(assess()) == ["ACCOUNT_NOT_READ"]


def test_another_currency_is_converted_at_the_brokers_quote_and_carries_its_own_risk(book):
    holds("SAP", 100, 200, currency="EUR")
    tell("SAP", waves(300))
    assert codes(assess()) == ["NO_FX_RATE"]
    pair = factories.ListingFactory(instrument=factories.InstrumentFactory(symbol="EUR/USD"))
    factories.QuoteFactory(listing=pair, bid_px=Decimal("1.09"), ask_px=Decimal("1.11"))
    without = assess()
    assert codes(without) == ["NO_FX_HISTORY"]
    assert without.gross == 249_600 + 22_000
    assert without.concentrations["currency"].shares["EUR"] == Decimal(22_000) / 271_600
    tell("EUR/USD", [px / 90 for px in waves(300, phase=1)])
    report = assess()
    assert report.complete
    assert report.measured.losses != without.measured.losses


def test_an_inverse_quote_of_a_pair_will_do(book):
    holds("SONY", 100, 3000, currency="JPY")
    tell("SONY", waves(300))
    pair = factories.ListingFactory(instrument=factories.InstrumentFactory(symbol="USD.JPY"))
    factories.QuoteFactory(listing=pair, bid_px=Decimal(149), ask_px=Decimal(151))
    tell("USD.JPY", [px * 1.5 for px in waves(300, phase=2)])
    report = assess()
    assert report.complete
    assert float(report.gross) == pytest.approx(249_600 + 2000, abs=0.01)


def test_an_account_in_a_currency_without_rate_is_named_and_not_counted(book):
    account("swiss", currency="CHF", portfolio_value=50_000)
    report = assess()
    assert codes(report) == ["NO_FX_RATE"]
    assert report.total_value == 1_000_000


def test_a_trade_without_bars_is_named(book):
    holds("XYZ", 1, 10)
    report = assess(trade=ProposedTrade("XYZ", Side.BUY, Decimal(5)))
    assert codes(report) == ["MISSING_BARS"]
    assert report.measured.trade is None


@pytest.mark.parametrize("tail", ["0", "0.5", "-0.1"])
def test_a_tail_that_is_none_is_refused(tail):
    with pytest.raises(InvalidInput) as refused:
        assess(tail=Decimal(tail))
    assert (refused.value.code, refused.value.field) == ("INVALID_TAIL", "tail")


def test_a_trade_of_what_nobody_lists_is_refused():
    with pytest.raises(InvalidInput) as refused:
        assess(trade=ProposedTrade("NOSUCH", Side.BUY, Decimal(5)))
    assert (refused.value.code, refused.value.field) == ("UNKNOWN_SYMBOL", "symbol")


def test_its_cost_does_not_grow_with_positions(django_assert_num_queries):
    holds("A0", 10, 100)
    tell("A0", waves(130))
    with django_assert_num_queries(4):
        assess()
    for number in range(1, 20):
        holds(f"A{number}", 10, 100)
        tell(f"A{number}", waves(130, phase=number))
    with django_assert_num_queries(4):
        assess()
