"""Each control denies with its code and figures; what is allowed tells what it holds."""

from decimal import Decimal

import pytest

from risk.gate import judge, no_price, reservation
from risk.models import Control, Scope
from tests.risk.judging import TOTAL_VALUE, account, buy, found, frozen, held, judged, rules, sell


def test_sound_order_is_allowed_and_tells_what_it_holds():
    verdict = judged()

    alpaca = verdict.accounts["alpaca"]
    assert (verdict.allowed, found(verdict), verdict.warnings) == (True, [], [])
    assert (alpaca.gross_before, alpaca.gross_after) == (0, 10_000)
    assert reservation(alpaca) == {"reserve_total_qty": 100, "reserve_px": 100, "buying_power_held": 10_000}
    assert verdict.figures == {"firm_gross": "0", "total_portfolio_value": "1000000", "rules_version": "7"}


@pytest.mark.parametrize("control", ["max_order_notional", "portfolio_risk_limit", "max_broker_allocation"])
def test_missing_limit_denies(control):
    verdict = judged(book=rules(**{control: None}))

    assert found(verdict) == [("NO_LIMIT_CONFIGURED", "", control)]
    assert not verdict.allowed


def test_quantity_limit_is_optional():
    assert judged(buy(400), book=rules(max_order_qty=None)).allowed


@pytest.mark.parametrize(
    ("order", "candidate", "exposure", "book", "denials"),
    [
        pytest.param(
            buy(1001),
            account(buying_power=Decimal(10**6)),
            None,
            rules(max_order_notional=10**6),
            [("QUANTITY_EXCEEDS_MAXIMUM", "1001", "1000")],
            id="quantity",
        ),
        pytest.param(buy(501), None, None, None, [("NOTIONAL_EXCEEDS_MAXIMUM", "50100", "50000")], id="notional"),
        pytest.param(
            buy(501),
            account(buying_power=Decimal(50_000)),
            None,
            rules(max_order_notional=10**6),
            [("INSUFFICIENT_BUYING_POWER", "50100", "50000")],
            id="buying-power",
        ),
        pytest.param(
            buy(101),
            None,
            held(gross=490_000),
            None,
            [("GROSS_EXPOSURE_EXCEEDS_LIMIT", "500100", "500000")],
            id="gross",
        ),
        pytest.param(
            buy(101),
            None,
            held(gross=790_000),
            rules(portfolio_risk_limit=10**7),
            [("BROKER_ALLOCATION_EXCEEDS_LIMIT", "0.8001", "0.8")],
            id="broker-share",
        ),
        pytest.param(
            buy(price="100.000001"),
            None,
            held(gross=790_000),
            rules(portfolio_risk_limit=10**7),
            [("BROKER_ALLOCATION_EXCEEDS_LIMIT", "0.800000001", "0.8")],
            id="broker-share-by-less-than-a-millionth",
        ),
        pytest.param(
            sell(1),
            account(can_short=False),
            None,
            None,
            [("SHORT_SALE_NOT_ALLOWED", "1", "0")],
            id="short-sale",
        ),
        pytest.param(
            sell(60),
            account(can_short=False),
            held(position_qty=100, open_sell_qty=50, open_sell_notional=5000, mark_px=100, gross=0),
            None,
            [("SHORT_SALE_NOT_ALLOWED", "60", "50")],
            id="short-sale-beyond-what-is-free",
        ),
        pytest.param(
            None, account(status="blocked"), None, None, [("ACCOUNT_NOT_ACTIVE", "blocked", "")], id="account-blocked"
        ),
        pytest.param(None, account(bid_px=None, ask_px=None), None, None, [("NO_PRICE", "", "")], id="no-price"),
        pytest.param(
            None,
            account(bid_px=None, ask_px=None, price_problem=no_price("STALE_PRICE", "quote is old")),
            None,
            None,
            [("STALE_PRICE", "", "")],
            id="stale-price",
        ),
        pytest.param(
            None,
            None,
            None,
            rules(halts=frozen(Scope.FIRM)),
            [("TRADING_HALTED", "firm: drill", "")],
            id="halted",
        ),
        pytest.param(
            None,
            None,
            None,
            rules(min_broker_diversification=3),
            [("TOO_FEW_BROKERS", "2", "3")],
            id="too-few-brokers",
        ),
    ],
)
def test_control_denies_with_what_it_found_and_the_limit(order, candidate, exposure, book, denials):
    verdict = judged(order, candidate, exposure, book)

    assert found(verdict) == denials
    assert not verdict.allowed


@pytest.mark.parametrize(
    ("order", "exposure", "book"),
    [
        pytest.param(buy(1000), None, rules(max_order_notional=10**6), id="quantity"),
        pytest.param(buy(500), None, None, id="notional"),
        pytest.param(buy(100), held(gross=490_000), None, id="gross"),
        pytest.param(buy(100), held(gross=790_000), rules(portfolio_risk_limit=10**7), id="broker-share"),
        pytest.param(buy(100), None, rules(min_broker_diversification=2), id="brokers"),
    ],
)
def test_order_exactly_at_a_limit_is_allowed(order, exposure, book):
    assert found(judged(order, account(buying_power=Decimal(10**6)), exposure, book)) == []


def test_order_of_exactly_the_buying_power_is_allowed():
    assert judged(buy(100), account(buying_power=Decimal(10_000))).allowed


def test_unknown_portfolio_value_denies_what_raises_exposure():
    verdict = judged(total_value=Decimal(0))

    assert [code for code, *_ in found(verdict)] == ["NO_PORTFOLIO_VALUE"]


def test_closing_what_is_held_passes_however_far_the_limits_are_exceeded():
    exposure = held(gross=10**7, position_qty=100, mark_px=100)

    assert judged(
        sell(100), account(can_short=False, buying_power=Decimal(0)), exposure, total_value=Decimal(0)
    ).allowed


def test_orders_already_entered_count_like_those_that_traded():
    exposure = held(gross=485_000, open_buy_qty=50, open_buy_notional=5_000)
    exposure.symbols["alpaca"].gross = Decimal(5_000)
    exposure.accounts["alpaca"].gross = Decimal(490_000)

    verdict = judged(buy(101), exposure=exposure)

    assert (verdict.accounts["alpaca"].gross_before, verdict.accounts["alpaca"].gross_after) == (5_000, 15_100)
    assert found(verdict) == [("GROSS_EXPOSURE_EXCEEDS_LIMIT", "500100", "500000")]


def test_short_sale_takes_buying_power_for_what_is_not_covered():
    exposure = held(position_qty=60, mark_px=99)

    verdict = judged(sell(100), account(buying_power=Decimal(3_959)), exposure)

    assert found(verdict) == [("INSUFFICIENT_BUYING_POWER", "3960", "3959")]


def test_too_few_brokers_only_warn_when_the_limit_is_soft():
    book = rules(soft={Control.MIN_BROKER_DIVERSIFICATION}, min_broker_diversification=3)

    verdict = judged(book=book)

    assert verdict.allowed
    assert [(warning.code, warning.found, warning.limit) for warning in verdict.warnings] == [
        ("TOO_FEW_BROKERS", "2", "3")
    ]


def test_one_account_that_may_take_it_is_enough():
    candidates = [account(), account("other", status="unknown")]

    verdict = judge(buy(), candidates, held(), rules(), TOTAL_VALUE)

    assert verdict.allowed
    assert [(denial.code, denial.broker_name) for denial in verdict.all_denials()] == [("ACCOUNT_NOT_ACTIVE", "other")]


def test_halted_account_leaves_the_other_open():
    book = rules(halts=frozen(Scope.ACCOUNT, "alpaca"))

    verdict = judge(buy(), [account(), account("other")], held(), book, TOTAL_VALUE)

    assert {name: one.allowed for name, one in verdict.accounts.items()} == {"alpaca": False, "other": True}


def test_no_account_at_all_is_not_allowed():
    assert not judge(buy(), [], held(), rules(), TOTAL_VALUE).allowed


def test_order_breaking_several_controls_is_told_all_of_them():
    verdict = judged(buy(6_000), account(status="blocked", buying_power=Decimal(1)))

    assert [code for code, *_ in found(verdict)] == [
        "ACCOUNT_NOT_ACTIVE",
        "QUANTITY_EXCEEDS_MAXIMUM",
        "NOTIONAL_EXCEEDS_MAXIMUM",
        "GROSS_EXPOSURE_EXCEEDS_LIMIT",
        "INSUFFICIENT_BUYING_POWER",
    ]
