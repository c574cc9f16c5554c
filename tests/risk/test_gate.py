"""Each control denies with its code and figures; what is allowed tells what it holds."""

from dataclasses import replace
from decimal import Decimal

import pytest

from risk import gate
from risk.exposure import Exposure
from risk.gate import Verdict, judge, reservation
from risk.levels import HaltInForce
from risk.models import Control, ExposureTotal, Level, Scope
from risk.rules import CandidateAccount, ProposedOrder, Rulebook
from tradingdesk.fix import OrdType, Side

LIMITS = {
    Control.MAX_ORDER_QTY: 1_000,
    Control.MAX_ORDER_NOTIONAL: 50_000,
    Control.PORTFOLIO_RISK_LIMIT: 500_000,
    Control.MAX_BROKER_ALLOCATION: Decimal("0.8"),
}
TOTAL_VALUE = Decimal(1_000_000)


def rules(halts=None, soft=(), **changes) -> Rulebook:
    """The limits above, changed by control; None takes one away."""
    values = LIMITS | {Control(name): value for name, value in changes.items()}
    limits = {(c, Scope.FIRM, ""): (Decimal(value), c not in soft) for c, value in values.items() if value is not None}
    return Rulebook(version=7, limits=limits, halts=halts or {})


def frozen(scope, key="", level=Level.FREEZE, operation="") -> dict:
    """A halt for a drill, as the rulebook has it."""
    return {(scope, key): [HaltInForce(scope, key, level, operation, "drill")]}


def buy(qty=100, **more) -> ProposedOrder:
    values = {"order_qty": Decimal(qty)} | {name: Decimal(str(value)) for name, value in more.items()}
    return ProposedOrder(symbol="IBM", side=Side.BUY, ord_type=OrdType.MARKET, **values)


def sell(qty=100, **more) -> ProposedOrder:
    return replace(buy(qty, **more), side=Side.SELL)


def account(name="alpaca", **more) -> CandidateAccount:
    """An account with a quote of 99 / 100 and a hundred thousand to spend."""
    sound = CandidateAccount(
        broker_name=name,
        portfolio_value=Decimal(500_000),
        buying_power=Decimal(100_000),
        status="active",
        bid_px=Decimal(99),
        ask_px=Decimal(100),
        can_short=True,
    )
    return replace(sound, **more)


def held(gross=0, **symbol_row) -> Exposure:
    """Two accounts; `alpaca` has `gross` elsewhere, and `symbol_row` of IBM."""
    row = ExposureTotal(**{name: Decimal(value) for name, value in symbol_row.items()})
    return Exposure(
        firm=ExposureTotal(rules_version=7),
        accounts={"alpaca": ExposureTotal(gross=Decimal(gross) + row.gross), "other": ExposureTotal()},
        symbols={"alpaca": row, "other": ExposureTotal()},
    )


def judged(order=None, candidate=None, exposure=None, book=None, total_value=TOTAL_VALUE) -> Verdict:
    return judge(order or buy(), [candidate or account()], exposure or held(), book or rules(), total_value)


def found(verdict: Verdict) -> list[tuple[str, str, str]]:
    return [(denial.code, denial.found, denial.limit) for denial in verdict.all_denials()]


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
            account(bid_px=None, ask_px=None, price_problem=("STALE_PRICE", "quote is old")),
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


def test_order_by_notional_counts_with_the_units_it_buys_at_the_far_touch():
    order = ProposedOrder(symbol="IBM", side=Side.BUY, ord_type=OrdType.MARKET, notional=Decimal(1_000))

    alpaca = judged(order).accounts["alpaca"]

    assert (alpaca.reserve_qty, alpaca.reserve_px, alpaca.gross_after) == (10, 100, 1_000)


def test_order_by_notional_above_the_maximum_is_denied():
    order = ProposedOrder(symbol="IBM", side=Side.BUY, ord_type=OrdType.MARKET, notional=Decimal(50_001))

    assert found(judged(order)) == [("NOTIONAL_EXCEEDS_MAXIMUM", "50001", "50000")]


def test_replace_is_judged_by_what_it_adds():
    exposure = held(gross=490_000, open_buy_qty=100, open_buy_notional=10_000, mark_px=100)
    exposure.symbols["alpaca"].gross = Decimal(10_000)
    exposure.accounts["alpaca"].gross = Decimal(500_000)
    holds = {"held_qty": 100, "held_notional": 10_000}

    same, more = judged(buy(100, **holds), exposure=exposure), judged(buy(101, **holds), exposure=exposure)

    assert (same.allowed, same.accounts["alpaca"].buying_power_needed) == (True, 0)
    assert found(more) == [("GROSS_EXPOSURE_EXCEEDS_LIMIT", "500100", "500000")]
    assert more.accounts["alpaca"].buying_power_needed == 100


@pytest.mark.parametrize(
    ("change", "needed"),
    [
        pytest.param(buy(150, price=60), 5_000, id="more-for-less"),
        pytest.param(buy(50, price=120), 2_000, id="less-for-more"),
        pytest.param(buy(50, price=60), 0, id="less-for-less"),
    ],
)
def test_replace_counts_the_worse_of_old_and_new_in_units_and_in_price(change, needed):
    change = replace(change, held_qty=Decimal(100), held_notional=Decimal(10_000), held_px=Decimal(100))

    assert judged(change).accounts["alpaca"].buying_power_needed == needed


def test_replace_of_a_part_filled_order_counts_what_is_left():
    alpaca = judged(buy(150, cum_qty=40, held_qty=60, held_notional=6_000)).accounts["alpaca"]

    assert (alpaca.reserve_qty, alpaca.buying_power_needed) == (150, 5_000)


def with_limit(control, value, scope, key, hard=True, **changes) -> Rulebook:
    """The limits above, and one more."""
    book = rules(**changes)
    return Rulebook(book.version, {**book.limits, (control, scope, key): (Decimal(str(value)), hard)}, {})


@pytest.mark.parametrize(
    ("scope", "key"),
    [
        (Scope.BROKER, "alpaca_adapter"),
        (Scope.ACCOUNT, "alpaca"),
        (Scope.STRATEGY, "momentum"),
        (Scope.SYMBOL, "IBM"),
        (Scope.ASSET_CLASS, "us_equity"),
        (Scope.USER, "ann"),
    ],
)
def test_tightest_limit_of_every_scope_that_an_order_belongs_to_counts(scope, key):
    order = replace(buy(51), strategy="momentum", asset_class="us_equity", user="ann")
    candidate = account(adapter="alpaca_adapter")

    here = judged(order, candidate, book=with_limit(Control.MAX_ORDER_QTY, 50, scope, key))
    elsewhere = judged(order, candidate, book=with_limit(Control.MAX_ORDER_QTY, 50, scope, "another"))

    assert found(here) == [("QUANTITY_EXCEEDS_MAXIMUM", "51", "50")]
    assert [(one.control, one.scope, one.passes) for one in here.all_denials()] == [
        ("max_order_qty", f"{scope} {key}", "order_qty of at most 50")
    ]
    assert elsewhere.allowed


def test_soft_limit_warns_and_the_hard_one_beyond_it_denies():
    book = with_limit(Control.MAX_ORDER_QTY, 50, Scope.SYMBOL, "IBM", hard=False)

    within, between, beyond = (
        judged(buy(qty), account(buying_power=Decimal(10**6)), book=book) for qty in (50, 51, 1001)
    )

    assert (within.allowed, within.all_warnings()) == (True, [])
    assert between.allowed
    warned = between.warnings_at("alpaca")
    assert [(one.code, one.broker_name, one.found, one.limit, one.scope) for one in warned] == [
        ("QUANTITY_EXCEEDS_MAXIMUM", "alpaca", "51", "50", "symbol IBM")
    ]
    assert ("QUANTITY_EXCEEDS_MAXIMUM", "1001", "1000") in found(beyond)
    assert beyond.all_warnings() == []


@pytest.mark.parametrize("hard", [True, False])
def test_control_that_fails_or_knows_too_little_denies(monkeypatch, hard):
    def broken(case, bound):
        raise ZeroDivisionError

    def untold(case, bound):
        case.fact("what nobody told")

    specs = gate.OF_ACCOUNTS
    for check, detail in ((broken, "its check failed (ZeroDivisionError)"), (untold, "what nobody told is not known")):
        changed = [replace(s, check=check) if s.control == Control.MAX_ORDER_QTY else s for s in specs]
        monkeypatch.setattr(gate, "OF_ACCOUNTS", changed)

        verdict = judged(book=rules(soft=() if hard else {Control.MAX_ORDER_QTY}))

        assert not verdict.allowed
        (denial,) = verdict.all_denials()
        assert (denial.code, denial.detail) == ("CONTROL_NOT_MEASURED", f"max_order_qty: {detail}")


def test_missing_or_soft_required_limit_denies_even_if_a_narrower_one_is_set():
    book = with_limit(Control.MAX_ORDER_NOTIONAL, 10**6, Scope.SYMBOL, "IBM", max_order_notional=None)

    assert [code for code, *_ in found(judged(book=book))] == ["NO_LIMIT_CONFIGURED"]
    assert [code for code, *_ in found(judged(book=rules(soft={Control.MAX_ORDER_NOTIONAL})))] == [
        "NO_LIMIT_CONFIGURED"
    ]


def test_every_denial_says_what_would_pass():
    verdict = judged(
        sell(6_000),
        account(status="blocked", buying_power=Decimal(1), can_short=False, unreconciled="cash"),
        book=rules(min_broker_diversification=5, portfolio_risk_limit=1, max_broker_allocation=Decimal("0.1")),
    )

    assert len(verdict.all_denials()) == 9
    assert all(denial.passes and denial.control for denial in verdict.all_denials())


def test_limits_of_other_symbols_are_never_looked_at():
    book = rules()
    many = {(Control.MAX_ORDER_QTY, Scope.SYMBOL, f"S{number}"): (Decimal(1), True) for number in range(1000)}

    place = buy().place(account="alpaca")

    assert len(Rulebook(7, {**book.limits, **many}, {}).bounds_at(Control.MAX_ORDER_QTY, place)) == 1


def test_controls_judged_before_any_account_are_set_for_no_account():
    assert not [s.control for s in gate.OF_ORDERS if {Scope.ACCOUNT, Scope.BROKER, Scope.USER_ACCOUNT} & set(s.scopes)]
