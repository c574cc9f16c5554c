"""The running totals and the order of their locks."""

from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from risk import exposure
from risk.facts import Facts
from risk.models import ExchangeRate, ExposureTotal
from risk.sums import SUMS
from tests.factories import InstrumentFactory
from tradingdesk.fix import Side
from tradingdesk.statements import together

pytestmark = pytest.mark.django_db


def locked_for_decision(broker_names: list[str], symbol: str) -> exposure.Exposure:
    """Lock what a decision rests on, as a block of its own."""
    with together():
        held = exposure.ask_for_decision(broker_names, symbol)
    return held()


def test_decision_locks_firm_then_accounts_then_symbols_and_makes_what_is_missing():
    held = locked_for_decision(["beta", "alpha"], "IBM")

    keys = list(ExposureTotal.objects.order_by("key").values_list("key", flat=True))
    assert keys == ["0:firm", "1:alpha", "1:beta", "2:alpha:IBM", "2:beta:IBM"]
    assert (held.firm.key, held.accounts["beta"].key, held.symbols["alpha"].key) == ("0:firm", "1:beta", "2:alpha:IBM")
    assert held.gross == 0


def test_decision_on_known_rows_is_one_query_in_the_order_of_the_keys():
    locked_for_decision(["alpha", "beta"], "IBM")

    with CaptureQueriesContext(
        connection,
    ) as queries:
        locked_for_decision(["beta", "alpha"], "IBM")

    assert len(queries) == 1
    assert 'ORDER BY "exposure_totals"."key" ASC' in queries[0]["sql"]


def test_report_locks_account_and_symbol_only():
    row = exposure.lock_for_report("alpha", "IBM")

    assert row.key == "2:alpha:IBM"
    assert list(ExposureTotal.objects.order_by("key").values_list("key", flat=True)) == ["1:alpha", "2:alpha:IBM"]


def test_preview_reads_without_making_rows():
    held = exposure.read_for_preview(["alpha"], "IBM")

    assert (held.gross, held.holding("alpha").gross()) == (0, 0)
    assert not ExposureTotal.objects.exists()


def test_symbol_whose_name_holds_a_colon_or_dot_has_rows_of_its_own():
    assert exposure.symbol_key("alpha", "BRK.B") != exposure.symbol_key("alpha", "BRK")


def move(symbol: str, **change) -> ExposureTotal:
    change = {name: Decimal(str(value)) for name, value in change.items() if name != "side"} | {
        "side": change.get("side", Side.BUY)
    }
    exposure.move(exposure.lock_for_report("alpha", symbol), **change)
    return ExposureTotal.objects.get(key=f"2:alpha:{symbol}")


def test_entering_filling_and_giving_back_move_the_symbols_row_and_the_accounts_sum():
    entered = move("IBM", qty=100, notional=10_000)
    filled = move("IBM", qty=-40, notional=-4_000, position_qty=40, mark_px=99)
    move("BAC", side=Side.SELL, qty=10, notional=140)
    given_back = move("IBM", qty=-60, notional=-6_000)

    assert (entered.open_buy_qty, entered.open_buy_notional, entered.gross) == (100, 10_000, 10_000)
    assert (filled.position_qty, filled.open_buy_qty, filled.gross) == (40, 60, 9_960)
    assert (given_back.open_buy_qty, given_back.open_buy_notional, given_back.gross) == (0, 0, 3_960)
    assert ExposureTotal.objects.get(key="1:alpha").gross == 4_100


def test_sides_are_kept_apart_and_the_worse_counts():
    move("IBM", qty=10, notional=1_000)
    row = move("IBM", side=Side.SELL, qty=30, notional=3_000)

    assert (row.open_buy_qty, row.open_sell_qty, row.gross) == (10, 30, 3_000)


def test_new_price_revalues_what_is_held():
    move("IBM", position_qty=-10, mark_px=100)

    exposure.revalue(exposure.lock_for_report("alpha", "IBM"), Decimal(130))

    assert ExposureTotal.objects.get(key="2:alpha:IBM").gross == 1_300
    assert ExposureTotal.objects.get(key="1:alpha").gross == 1_300


def test_missing_mark_keeps_the_last_one():
    move("IBM", position_qty=10, mark_px=100)

    row = move("IBM", position_qty=5, mark_px=0)

    assert (row.mark_px, row.gross) == (100, 500)


def test_sum_stays_exact_over_many_small_moves_of_a_large_total():
    move("BAC", position_qty=30_000_000, mark_px=Decimal("33.333333"))
    for number in range(200):
        move("IBM", qty=Decimal("0.1"), notional=Decimal("0.100001") * (number + 1))

    rows = ExposureTotal.objects.exclude(symbol="")
    assert ExposureTotal.objects.get(key="1:alpha").gross == sum(row.gross for row in rows)


def sums(key: str) -> dict[str, Decimal]:
    row = ExposureTotal.objects.get(key=key)
    return {name: getattr(row, name) for name in SUMS if getattr(row, name)}


@pytest.fixture
def known_instruments():
    """IBM of a sector and with a beta; ADS in euros, for which there is a rate; SAP in francs, for which is none."""
    InstrumentFactory(symbol="IBM", sector="Technology", beta=Decimal("1.2"))
    InstrumentFactory(symbol="ADS", sector="Technology", currency="EUR", beta=Decimal("-0.5"))
    InstrumentFactory(symbol="SAP", currency="CHF")
    told = {"base_currency": "USD", "told_at": timezone.now(), "source": "EUR/USD"}
    ExchangeRate.objects.create(currency="EUR", rate=Decimal("1.1"), **told)


def test_nets_are_of_everything_bought_and_of_everything_sold(known_instruments):
    move("IBM", position_qty=10, mark_px=100)
    move("IBM", qty=5, notional=500)
    move("IBM", side=Side.SELL, qty=30, notional=3_000)

    expected = {"gross": 2_000, "net_high": 1_500, "net_low": -2_000, "beta_high": 1_800, "beta_low": -2_400}
    assert sums("2:alpha:IBM") == sums("1:alpha") == sums("3:alpha:Technology") == expected


def test_sector_sums_its_symbols_in_the_base_currency_and_a_negative_beta_turns_the_ends(known_instruments):
    move("IBM", qty=10, notional=1_000)
    move("ADS", qty=10, notional=1_000)

    assert sums("2:alpha:ADS") == {"gross": 1_100, "net_high": 1_100, "beta_low": -550}
    in_both = {"gross": 2_100, "net_high": 2_100, "beta_high": 1_200, "beta_low": -550}
    assert sums("3:alpha:Technology") == sums("1:alpha") == in_both


def test_symbol_without_rate_and_beta_is_noted_while_something_is_there(known_instruments):
    move("SAP", qty=10, notional=1_000)
    with_it = sums("1:alpha")
    move("SAP", qty=-10, notional=-1_000)

    assert with_it == {"gross": 1_000, "net_high": 1_000, "without_rate": 1, "without_beta": 1}
    assert sums("1:alpha") == {}


def test_restating_moves_a_symbol_to_its_new_sector_rate_and_beta():
    InstrumentFactory(symbol="IBM", sector="Technology")
    row = exposure.lock_for_report("alpha", "IBM")
    exposure.move(row, side=Side.BUY, qty=Decimal(10), notional=Decimal(1_000))

    exposure.restate(row, Facts(sector="Services", fx_rate=Decimal(2), beta=Decimal("0.5")))

    moved = {"gross": 2_000, "net_high": 2_000, "beta_high": 1_000}
    assert (sums("3:alpha:Technology"), sums("3:alpha:Services"), sums("1:alpha")) == ({}, moved, moved)

    exposure.restate(row, Facts())

    unknown = {"gross": 1_000, "net_high": 1_000, "without_rate": 1, "without_beta": 1}
    assert (sums("3:alpha:Services"), sums("1:alpha")) == ({}, unknown)


def test_moving_a_symbol_of_a_sector_takes_as_many_statements_as_one_of_none(known_instruments):
    def statements(symbol: str) -> int:
        row = exposure.lock_for_report("alpha", symbol)
        with CaptureQueriesContext(connection) as queries:
            exposure.move(row, side=Side.BUY, qty=Decimal(1), notional=Decimal(1))
        return len(queries)

    assert statements("IBM") == statements("SAP") == 2
