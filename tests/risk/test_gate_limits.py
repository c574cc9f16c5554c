"""Which limits count where several are set, soft ones, and controls that cannot be measured."""

from dataclasses import replace
from decimal import Decimal

import pytest

from risk import gate
from risk.models import Control, Scope
from risk.rules import Rulebook
from tests.risk.judging import account, buy, found, judged, rules, sell


def with_limit(control, value, scope, key, hard=True, **changes) -> Rulebook:
    """The limits above, and one more."""
    book = rules(**changes)
    return Rulebook(book.version, {**book.limits, (control, scope, key, hard): Decimal(str(value))}, {})


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


def test_soft_and_hard_limit_of_one_scope_the_hard_one_is_judged_first():
    book = with_limit(Control.MAX_ORDER_QTY, 80, Scope.FIRM, "", hard=False, max_order_qty=100)

    at, over_soft, at_hard, over_hard = (judged(buy(qty), book=book) for qty in (80, 81, 100, 101))

    assert (at.allowed, at.all_warnings()) == (True, [])
    assert [(one.found, one.limit) for one in over_soft.all_warnings()] == [("81", "80")]
    assert (over_soft.allowed, at_hard.allowed) == (True, True)
    assert found(over_hard) == [("QUANTITY_EXCEEDS_MAXIMUM", "101", "100")]
    assert over_hard.all_warnings() == []


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
    many = {(Control.MAX_ORDER_QTY, Scope.SYMBOL, f"S{number}", True): Decimal(1) for number in range(1000)}

    place = buy().place(account="alpaca")

    assert len(Rulebook(7, {**book.limits, **many}, {}).bounds_at(Control.MAX_ORDER_QTY, place)) == 1


def test_controls_judged_before_any_account_are_set_for_no_account():
    assert not [s.control for s in gate.OF_ORDERS if {Scope.ACCOUNT, Scope.BROKER, Scope.USER_ACCOUNT} & set(s.scopes)]
