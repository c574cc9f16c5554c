"""Controls on the desk's totals: each denies what passes its limit by a millionth, and lets through what is at it."""

from dataclasses import replace
from decimal import Decimal

import pytest

from risk.controls.totals import SECTOR_GROSS
from risk.exposure import Exposure
from risk.gate import judge, portfolio_denials
from risk.models import Control, ExposureTotal, Scope
from risk.rules import CandidateAccount, ProposedOrder, Rulebook
from tests.risk.judging import account, buy, rules, sell

TINY = Decimal("0.000001")


def totals(**columns) -> ExposureTotal:
    """A row; a text stays one, numbers become decimals."""
    return ExposureTotal(**{k: v if v is None or isinstance(v, str) else Decimal(str(v)) for k, v in columns.items()})


def book(control: Control, value, **elsewhere) -> Rulebook:
    """Room for everything, but for one control."""
    roomy = {Control.MAX_ORDER_NOTIONAL: 10**7, Control.PORTFOLIO_RISK_LIMIT: 10**9, Control.MAX_BROKER_ALLOCATION: 1}
    return rules(**({str(name): value for name, value in roomy.items()} | {str(control): Decimal(str(value))}))


def exposure(accounts: dict[str, dict], symbols: dict[str, dict] | None = None, **more) -> Exposure:
    """What is held at each account, and of IBM at each."""
    symbols = symbols or {}
    return Exposure(
        firm=ExposureTotal(rules_version=7),
        accounts={name: totals(**columns) for name, columns in accounts.items()},
        symbols={name: totals(**({"fx_rate": 1} | symbols.get(name, {}))) for name in accounts},
        **more,
    )


def denials(
    order: ProposedOrder, held: Exposure, rulebook: Rulebook, candidate: CandidateAccount | None = None, facts=None
) -> list[tuple[str, str]]:
    verdict = judge(order, [candidate or account()], held, rulebook, Decimal(1_000_000), facts)
    return [(denial.code, denial.found) for denial in verdict.all_denials()]


def test_net_exposure_is_that_of_all_accounts_and_of_the_worse_side():
    held = exposure(
        {"alpaca": {"net_high": 3_000, "net_low": -9_000}, "other": {"net_high": 50_000, "net_low": 40_000}}
    )

    assert denials(buy(100), held, book(Control.MAX_NET_EXPOSURE, 63_000)) == []
    assert denials(buy(100), held, book(Control.MAX_NET_EXPOSURE, 63_000 - TINY)) == [
        ("NET_EXPOSURE_EXCEEDS_LIMIT", "63000")
    ]


def test_net_exposure_counts_everything_sold_as_well():
    held = exposure({"alpaca": {"net_high": 0, "net_low": -9_000}, "other": {}})

    assert denials(sell(10), held, book(Control.MAX_NET_EXPOSURE, 9_990)) == []
    assert denials(sell(10), held, book(Control.MAX_NET_EXPOSURE, 9_989)) == [("NET_EXPOSURE_EXCEEDS_LIMIT", "9990")]


def test_order_that_brings_the_net_nearer_to_nothing_is_let_through_above_the_limit():
    held = exposure({"alpaca": {}, "other": {"net_high": 90_000, "net_low": 90_000, "gross": 90_000}})

    assert denials(sell(100), held, book(Control.MAX_NET_EXPOSURE, 10_000)) == []


def test_closing_a_short_is_let_through_though_it_raises_the_net():
    row = {"position_qty": -100, "mark_px": 100, "gross": 10_000, "net_high": -10_000, "net_low": -10_000}
    of_accounts = {
        "alpaca": {"gross": 10_000, "net_high": -10_000, "net_low": -10_000},
        "other": {"net_high": 90_000, "net_low": 90_000},
    }

    found = denials(buy(50), exposure(of_accounts, {"alpaca": row}), book(Control.MAX_NET_EXPOSURE, 10_000))

    assert found == []


def test_exposure_to_a_symbol_is_that_of_all_accounts_and_of_every_limit_that_applies():
    held = exposure({"alpaca": {}, "other": {}}, {"other": {"gross": 15_000}})
    wide = book(Control.MAX_SYMBOL_EXPOSURE, 10**6)
    limits = dict(wide.limits) | {(Control.MAX_SYMBOL_EXPOSURE, Scope.SYMBOL, "IBM", True): Decimal(25_000)}

    assert denials(buy(100), held, book(Control.MAX_SYMBOL_EXPOSURE, 25_000)) == []
    assert denials(buy(100), held, replace(wide, limits=limits)) == []
    limits[Control.MAX_SYMBOL_EXPOSURE, Scope.SYMBOL, "IBM", True] = 25_000 - TINY
    assert denials(buy(100), held, replace(wide, limits=limits)) == [("SYMBOL_EXPOSURE_EXCEEDS_LIMIT", "25000")]


def test_exposure_to_a_sector_is_that_of_all_accounts_that_count():
    row = {"position_qty": 50, "mark_px": Decimal("99.5"), "gross": 5_000, "sector": "Technology"}
    held = exposure({"alpaca": {"gross": 5_000}, "other": {}}, {"alpaca": row})
    facts = {SECTOR_GROSS: ("Technology", {"alpaca": Decimal(8_000), "other": Decimal(4_000), "off": Decimal(10**6)})}

    at_limit = Decimal(8_000 + 4_000 - 5_000) + 50 * Decimal("99.5") + 10_000

    assert denials(buy(100), held, book(Control.MAX_SECTOR_EXPOSURE, at_limit), facts=facts) == []
    assert denials(buy(100), held, book(Control.MAX_SECTOR_EXPOSURE, at_limit - TINY), facts=facts) == [
        ("SECTOR_EXPOSURE_EXCEEDS_LIMIT", "21975")
    ]


@pytest.mark.parametrize("facts", [{SECTOR_GROSS: ("", {})}, {}], ids=["no sector", "not asked for"])
def test_sector_that_is_not_known_denies_what_adds_exposure(facts):
    held, limit = exposure({"alpaca": {}}), book(Control.MAX_SECTOR_EXPOSURE, 10**9)

    assert [code for code, _ in denials(buy(1), held, limit, facts=facts)] == ["CONTROL_NOT_MEASURED"]


def test_beta_exposure_weighs_the_order_and_everything_else_by_beta():
    of_accounts = {"alpaca": {"beta_high": 5_000}, "other": {"beta_low": -2_000}}
    held = exposure(of_accounts, {"alpaca": {"beta": Decimal("1.5")}})

    assert denials(buy(100), held, book(Control.MAX_BETA_EXPOSURE, 20_000)) == []
    assert denials(buy(100), held, book(Control.MAX_BETA_EXPOSURE, 20_000 - TINY)) == [
        ("BETA_EXPOSURE_EXCEEDS_LIMIT", "20000")
    ]


def test_buying_what_moves_against_the_market_counts_as_short():
    held = exposure({"alpaca": {"beta_low": -4_000}}, {"alpaca": {"beta": -2}})

    assert denials(buy(10), held, book(Control.MAX_BETA_EXPOSURE, 6_000)) == []
    assert denials(buy(10), held, book(Control.MAX_BETA_EXPOSURE, 5_999)) == [("BETA_EXPOSURE_EXCEEDS_LIMIT", "6000")]


@pytest.mark.parametrize(
    ("of_account", "row"), [({}, {}), ({"without_beta": 1}, {"beta": 1})], ids=["of the order", "of a holding"]
)
def test_beta_that_is_not_known_denies_what_adds_exposure(of_account, row):
    held = exposure({"alpaca": of_account}, {"alpaca": row})

    found = denials(buy(1), held, book(Control.MAX_BETA_EXPOSURE, 10**9))

    assert [code for code, _ in found] == ["CONTROL_NOT_MEASURED"]


def test_drift_is_how_far_an_account_is_above_its_share_of_capital():
    held, candidate = exposure({"alpaca": {"gross": 290_000}}), account(allocation=Decimal("0.25"))

    assert denials(buy(100), held, book(Control.MAX_ALLOCATION_DRIFT, "0.05"), candidate) == []
    assert denials(buy(101), held, book(Control.MAX_ALLOCATION_DRIFT, "0.05"), candidate) == [
        ("ALLOCATION_DRIFT_EXCEEDS_LIMIT", "0.0501")
    ]


def test_margin_is_the_brokers_figure_and_all_that_it_does_not_know_yet():
    figures = {"equity": Decimal(100_000), "initial_margin": Decimal(30_000), "unreflected": Decimal(10_000)}
    held, candidate = exposure({"alpaca": {}}), account(**figures)

    assert denials(buy(100), held, book(Control.MAX_MARGIN_USE, "0.5"), candidate) == []
    assert denials(buy(101), held, book(Control.MAX_MARGIN_USE, "0.5"), candidate) == [
        ("MARGIN_USE_EXCEEDS_LIMIT", "0.501")
    ]
    untold = replace(candidate, initial_margin=None)
    assert [code for code, _ in denials(buy(1), held, book(Control.MAX_MARGIN_USE, 9), untold)] == [
        "CONTROL_NOT_MEASURED"
    ]


def test_amounts_are_in_the_base_currency_and_buying_power_in_the_accounts():
    held = exposure({"alpaca": {}}, fx_rate=Decimal("1.1"))
    candidate = account(fx_rate=Decimal("0.5"), buying_power=Decimal(22_000))
    at_limit = rules(max_order_notional=11_000, portfolio_risk_limit=11_000, max_order_qty=None)

    verdict = judge(buy(100), [candidate], held, at_limit, Decimal(1_000_000))

    assert not verdict.all_denials()
    of_account = verdict.accounts["alpaca"]
    assert (of_account.gross_after, of_account.buying_power_needed, of_account.reserve_px) == (11_000, 22_000, 100)
    codes = [code for code, _ in denials(buy("100.0001"), held, at_limit, candidate)]
    assert codes == ["NOTIONAL_EXCEEDS_MAXIMUM", "GROSS_EXPOSURE_EXCEEDS_LIMIT", "INSUFFICIENT_BUYING_POWER"]


@pytest.mark.parametrize(
    ("candidate", "of_exposure"),
    [(account(fx_rate=None), {}), (account(), {"fx_rate": None})],
    ids=["of the account", "of the instrument"],
)
def test_currency_without_a_rate_denies(candidate, of_exposure):
    held = exposure({"alpaca": {}}, **of_exposure)

    assert [code for code, _ in denials(buy(1), held, rules(), candidate)] == ["NO_FX_RATE"]


def test_holding_whose_rate_is_gone_denies_what_adds_exposure_anywhere_and_nothing_else():
    row = {"position_qty": 100, "mark_px": 100, "gross": 10_000, "net_high": 10_000, "net_low": 10_000}
    held = exposure({"alpaca": {"gross": 10_000}, "other": {"without_rate": 1}}, {"alpaca": row})

    assert denials(buy(1), held, rules()) == [("NO_FX_RATE", "1")]
    assert denials(sell(100), held, rules()) == []


def test_portfolio_whose_value_is_not_known_does_not_stand_within_its_limits():
    found = list(portfolio_denials({"alpaca": Decimal(1)}, Decimal(0), rules()))

    assert [denial.code for denial in found] == ["NO_PORTFOLIO_VALUE"]
    assert list(portfolio_denials({"alpaca": Decimal(0)}, Decimal(0), rules())) == []
