"""Each control of a single order: what is at its limit passes, what is just past it is denied in words."""

from dataclasses import dataclass, replace
from decimal import Decimal

import pytest

from risk.controls.families import SIBLINGS
from risk.controls.prices import CLOSES, OPPOSITE
from risk.controls.repeats import MESSAGES, REPEATED, SAME
from risk.controls.volumes import VOLUME
from risk.gate import Verdict, judge
from risk.models import Control, Scope
from risk.rules import CandidateAccount, Denial, ProposedOrder, Rulebook
from tests.risk.judging import TOTAL_VALUE, account, buy, held, rules, sell
from tradingdesk.fix import OrdType


@dataclass(frozen=True)
class Entered:
    """What `orders.measuring` tells of an order of the desk."""

    client_order_id: str = "mine-1"
    seconds: Decimal = Decimal(0)
    broker_name: str = "other"
    price: Decimal | None = None


@dataclass(frozen=True)
class Others:
    """What `orders.measuring` tells of the orders of the same parent."""

    count: Decimal = Decimal(0)
    notional: Decimal = Decimal(0)


class Counted:
    """Counts of messages by (scope, scope_key, seconds)."""

    def __init__(self, counts):
        self.counts = counts

    def count(self, scope, scope_key, seconds) -> Decimal:
        return Decimal(self.counts.get((scope, scope_key, seconds), 0))


def book(*limits) -> Rulebook:
    """The gate's usual limits, and (control, value, scope, key, hard) ones."""
    rows = dict(rules().limits)
    for control, value, *rest in limits:
        scope, key, hard = [*rest, *(Scope.FIRM, "", True)[len(rest) :]]
        rows[control, scope, key, hard] = Decimal(str(value))
    return Rulebook(7, rows, {})


def judged(order: ProposedOrder, limits: Rulebook, candidate: CandidateAccount | None = None, **facts) -> Verdict:
    exposure = facts.pop("exposure", None) or held()
    named = {VOLUME: "volume", CLOSES: "closes", SAME: "same", MESSAGES: "messages", OPPOSITE: "opposite"}
    named |= {SIBLINGS: "siblings", REPEATED: "repeated"}
    told = {need: facts[name] for need, name in named.items() if name in facts}
    return judge(order, [candidate or account()], exposure, limits, TOTAL_VALUE, told)


def the_denial(verdict: Verdict) -> Denial:
    (denial,) = verdict.all_denials()
    return denial


def limit(price, side=buy, qty=1, **more) -> ProposedOrder:
    return replace(side(qty, price=price), ord_type=OrdType.LIMIT, **more)


OPEN = {"session_open": True}
CLOSED = {"session_open": False}
LONG = {"position_qty": 100, "mark_px": 99}
CASES = {
    "adv share": (
        lambda past: judged(
            buy(101 if past else 100), book((Control.MAX_ADV_SHARE, "0.1")), volume={"alpaca": Decimal(1000)}
        ),
        ("VOLUME_SHARE_EXCEEDS_MAXIMUM", "order_qty=101, average daily volume=1000, max=0.1 of it"),
        "order_qty of at most 100",
    ),
    "displayed size, buy": (
        lambda past: judged(
            buy(61 if past else 60),
            book((Control.MAX_DISPLAYED_RATIO, 2)),
            account(ask_size=Decimal(30), bid_size=Decimal(1)),
        ),
        ("DISPLAYED_SIZE_EXCEEDS_MAXIMUM", "order_qty=61, displayed size=30, max=2 of it"),
        "order_qty of at most 60",
    ),
    "displayed size, sell": (
        lambda past: judged(
            sell(61 if past else 60),
            book((Control.MAX_DISPLAYED_RATIO, 2)),
            account(bid_size=Decimal(30), ask_size=Decimal(1)),
        ),
        ("DISPLAYED_SIZE_EXCEEDS_MAXIMUM", "order_qty=61, displayed size=30, max=2 of it"),
        "order_qty of at most 60",
    ),
    "collar in the session, buy": (
        lambda past: judged(
            limit("104.48" if past else "104.475"), book((Control.PRICE_COLLAR, "0.05")), account(**OPEN), closes={}
        ),
        ("PRICE_OUTSIDE_COLLAR", "price=104.48, mid=99.5, would pass=at most 104.475"),
        "price of at most 104.475",
    ),
    "collar in the session, sell": (
        lambda past: judged(
            limit("94.52" if past else "94.525", sell), book((Control.PRICE_COLLAR, "0.05")), account(**OPEN), closes={}
        ),
        ("PRICE_OUTSIDE_COLLAR", "price=94.52, mid=99.5, would pass=at least 94.525"),
        "price of at least 94.525",
    ),
    "collar while the market is closed": (
        lambda past: judged(
            limit("84.01" if past else "84"),
            book((Control.PRICE_COLLAR, "0.05")),
            account(**CLOSED),
            closes={"alpaca": Decimal(80)},
        ),
        ("PRICE_OUTSIDE_COLLAR", "price=84.01, prior close=80, would pass=at most 84"),
        "price of at most 84",
    ),
    "collar of a stop-limit order, by its stop": (
        lambda past: judged(
            replace(buy(1, price="126.01" if past else "126", stop_px=120), ord_type=OrdType.STOP_LIMIT),
            book((Control.PRICE_COLLAR, "0.05")),
            account(**OPEN),
            closes={},
        ),
        ("PRICE_OUTSIDE_COLLAR", "price=126.01, stop_px=120, would pass=at most 126"),
        "price of at most 126",
    ),
    "collar of a market order, by the touch": (
        lambda past: judged(
            buy(1),
            book((Control.PRICE_COLLAR, "0.05")),
            account(ask_px=Decimal(110 if past else 109), **OPEN),
            closes={},
        ),
        ("PRICE_OUTSIDE_COLLAR", "price=110, mid=104.5, would pass=at most 109.725"),
        "price of at most 109.725",
    ),
    "duplicate": (
        lambda past: judged(
            buy(1), book((Control.DUPLICATE_WINDOW, 5)), same=Entered(seconds=Decimal("4.9" if past else "5"))
        ),
        ("DUPLICATE_ORDER", "the same order was entered 4.9 s ago as mine-1, wanted=5"),
        "the same order in 0.1 s, or another",
    ),
    "messages in a minute of a user": (
        lambda past: judged(
            replace(buy(1), user="ann"),
            book((Control.MAX_MESSAGES_PER_MINUTE, 10, Scope.USER, "ann")),
            messages=Counted({("user", "ann", 60): 10 if past else 9}),
        ),
        ("MESSAGE_RATE_EXCEEDS_MAXIMUM", "messages in a minute=11, max=10"),
        "the same order once fewer than 10 were sent within 60 s",
    ),
    "messages in a second of an account": (
        lambda past: judged(
            buy(1),
            book((Control.MAX_MESSAGES_PER_SECOND, 3, Scope.ACCOUNT, "alpaca")),
            messages=Counted({("account", "alpaca", 1): 3 if past else 2, ("account", "other", 1): 99}),
        ),
        ("MESSAGE_RATE_EXCEEDS_MAXIMUM", "messages in a second=4, max=3"),
        "the same order once fewer than 3 were sent within 1 s",
    ),
    "buy against an own sell": (
        lambda past: judged(
            limit("99.5" if past else "99.49"),
            book((Control.NO_SELF_CROSS, 1)),
            opposite=Entered(price=Decimal("99.5")),
        ),
        ("WOULD_CROSS_OWN_ORDER", "price=99.5 meets our own mine-1 at other, 99.5"),
        "price below 99.5, or the same order once that one is cancelled",
    ),
    "market sell against an own buy": (
        lambda past: judged(
            sell(1), book((Control.NO_SELF_CROSS, 1)), opposite=Entered(price=Decimal("99" if past else "98.99"))
        ),
        ("WOULD_CROSS_OWN_ORDER", "price=99 meets our own mine-1 at other, 99"),
        "price above 99, or the same order once that one is cancelled",
    ),
    "any order against an own market order": (
        lambda past: judged(limit("1"), book((Control.NO_SELF_CROSS, 1)), opposite=Entered() if past else None),
        ("WOULD_CROSS_OWN_ORDER", "price=1 meets our own mine-1 at other, the market's price"),
        "the same order once that one is cancelled",
    ),
    "short sale": (
        lambda past: judged(sell(101 if past else 100), book((Control.NO_SHORT_SALES, 1)), exposure=held(**LONG)),
        ("SHORT_SALE_NOT_ALLOWED", "order_qty=101, free to sell=100: no short sales"),
        "order_qty of at most 100",
    ),
    "hard to borrow": (
        lambda past: judged(
            sell(101 if past else 100), book((Control.HARD_TO_BORROW, 1, Scope.SYMBOL, "IBM")), exposure=held(**LONG)
        ),
        ("HARD_TO_BORROW", "order_qty=101, free to sell=100: hard to borrow, no locate"),
        "order_qty of at most 100",
    ),
    "user at an account": (
        lambda past: judged(
            replace(buy(1), user="bob" if past else "ann", strategy="any"),
            book(
                (Control.PERMISSION_REQUIRED, 1, Scope.ACCOUNT, "alpaca"),
                (Control.PERMITTED, 1, Scope.USER_ACCOUNT, "ann alpaca"),
                (Control.PERMITTED, 1, Scope.USER_ACCOUNT, "bob other"),
            ),
        ),
        ("USER_NOT_PERMITTED", "user=bob is not permitted to trade account alpaca"),
        "the same order by: ann",
    ),
    "user with a strategy": (
        lambda past: judged(
            replace(buy(1), user="bob" if past else "ann", strategy="slow and steady"),
            book(
                (Control.PERMISSION_REQUIRED, 1, Scope.STRATEGY, "slow and steady"),
                (Control.PERMITTED, 1, Scope.USER_STRATEGY, "ann slow and steady"),
            ),
        ),
        ("USER_NOT_PERMITTED", "user=bob is not permitted to trade strategy slow and steady"),
        "the same order by: ann",
    ),
    "closed session": (
        lambda past: judged(buy(1), book((Control.SESSION_ONLY, 1)), account(session_open=not past)),
        ("SESSION_CLOSED", "the market is closed at this account"),
        "the same order in the session, for the opening (opg), or with extended_hours",
    ),
    "clock drift": (
        lambda past: judged(
            buy(1), book((Control.MAX_CLOCK_DRIFT, 2)), account(clock_drift=Decimal("-2.001" if past else "-2"))
        ),
        ("CLOCK_DRIFT_EXCEEDS_MAXIMUM", "clock_drift=2.001, max=2"),
        "the same order once the clocks agree: check this machine's time",
    ),
    "children of a parent": (
        lambda past: judged(
            replace(buy(1), list_id="P-1"),
            book((Control.MAX_CHILDREN_PER_PARENT, 5)),
            siblings=Others(count=Decimal(5 if past else 4)),
        ),
        ("TOO_MANY_CHILDREN", "orders of P-1=6, max=5"),
        "orders of P-1 of at most 5",
    ),
    "notional of a parent": (
        lambda past: judged(
            replace(buy(31 if past else 30), list_id="P-1"),
            book((Control.MAX_NOTIONAL_PER_PARENT, 5000)),
            siblings=Others(notional=Decimal(2000)),
        ),
        ("PARENT_NOTIONAL_EXCEEDS_MAXIMUM", "notional of P-1=5100, max=5000"),
        "order_qty of at most 30",
    ),
    "repeated executions": (
        lambda past: judged(
            replace(buy(1), strategy="momentum"),
            book((Control.MAX_REPEATED_EXECUTIONS, 3)),
            repeated=Decimal(3 if past else 2),
        ),
        ("REPEATED_EXECUTIONS", "executed orders in an hour=4, max=3"),
        "orders of this strategy once a risk officer has taken the restriction away and the hour is over",
    ),
    "restricted strategy": (
        lambda past: judged(
            replace(buy(1), strategy="momentum" if past else "calm"),
            book((Control.RESTRICTED, 1, Scope.STRATEGY, "momentum")),
        ),
        ("RESTRICTED", "strategy=momentum is restricted"),
        "an order of another strategy, or this one once the restriction is taken away",
    ),
}


@pytest.mark.parametrize("what", CASES)
def test_order_at_the_limit_passes_and_one_just_past_it_is_denied_in_words(what):
    case, said, passes = CASES[what]

    assert case(False).allowed
    verdict = case(True)
    denial = the_denial(verdict)

    assert not verdict.allowed
    assert ((denial.code, denial.detail), denial.passes) == (said, passes)
    assert denial.control in Control.values
    assert denial.scope


MISSING = {
    "volume": (buy(1), (Control.MAX_ADV_SHARE, "0.1"), {"volume": {}}, "no daily bars of IBM"),
    "displayed size": (buy(1), (Control.MAX_DISPLAYED_RATIO, 1), {}, "no displayed size of IBM"),
    "clock, for the collar": (buy(1), (Control.PRICE_COLLAR, 1), {"closes": {}}, "market's clock has not been read"),
    "close": (
        buy(1),
        (Control.PRICE_COLLAR, 1),
        {"closes": {}, "candidate": account(**CLOSED)},
        "no prior close of IBM",
    ),
    "clock, for the session": (buy(1), (Control.SESSION_ONLY, 1), {}, "market's clock has not been read"),
    "clock, for the drift": (buy(1), (Control.MAX_CLOCK_DRIFT, 1), {}, "broker's clock has not been read"),
    "orders before": (buy(1), (Control.DUPLICATE_WINDOW, 1), {}, "the same order before is not known"),
    "messages": (buy(1), (Control.MAX_MESSAGES_PER_MINUTE, 1), {}, "messages lately is not known"),
    "other orders of the parent": (
        replace(buy(1), list_id="P-1"),
        (Control.MAX_NOTIONAL_PER_PARENT, 1),
        {},
        "orders of the same parent is not known",
    ),
    "executions": (
        replace(buy(1), strategy="momentum"),
        (Control.MAX_REPEATED_EXECUTIONS, 1),
        {},
        "orders of the strategy that traded lately is not known",
    ),
    "own orders": (buy(1), (Control.NO_SELF_CROSS, 1), {}, "own orders of the other side is not known"),
}


@pytest.mark.parametrize("hard", [True, False])
@pytest.mark.parametrize("what", MISSING)
def test_what_is_not_known_denies_also_where_the_limit_would_only_warn(what, hard):
    order, (control, value), facts, text = MISSING[what]

    denial = the_denial(judged(order, book((control, value, Scope.FIRM, "", hard)), **facts))

    assert denial.code == "CONTROL_NOT_MEASURED"
    assert text in denial.detail


def test_passive_price_and_plain_stop_pass_the_collar():
    limits = book((Control.PRICE_COLLAR, "0.01"))

    assert judged(limit("1"), limits, account(**OPEN), closes={}).allowed
    stop = replace(buy(1, stop_px=200), ord_type=OrdType.STOP)
    assert judged(stop, limits, account(), closes={}).allowed


def test_crypto_is_always_in_session():
    order = replace(buy(1), asset_class="crypto")

    assert judged(order, book((Control.SESSION_ONLY, 1)), account(session_open=None)).allowed


def test_order_that_waits_for_the_opening_or_trades_in_extended_hours_passes_while_the_market_is_closed():
    assert judged(replace(buy(1), waits=True), book((Control.SESSION_ONLY, 1)), account(**CLOSED)).allowed


def test_every_limit_on_messages_counts_its_own_scope():
    counts = Counted({("firm", "", 60): 500, ("strategy", "fast", 60): 3})
    limits = book((Control.MAX_MESSAGES_PER_MINUTE, 4, Scope.STRATEGY, "fast"), (Control.MAX_MESSAGES_PER_MINUTE, 500))

    denial = the_denial(judged(replace(buy(1), strategy="fast"), limits, messages=counts))

    assert (denial.scope, denial.found) == ("firm", "501")


def test_order_without_a_parent_or_strategy_is_not_held_against_limits_of_one():
    limits = book((Control.MAX_CHILDREN_PER_PARENT, 0), (Control.MAX_NOTIONAL_PER_PARENT, 0))

    assert judged(buy(1), limits).allowed
    assert judged(buy(1), book((Control.MAX_REPEATED_EXECUTIONS, 0))).allowed


def test_longest_duplicate_window_is_the_tightest():
    limits = book((Control.DUPLICATE_WINDOW, 5), (Control.DUPLICATE_WINDOW, 60, Scope.STRATEGY, "slow"))

    verdict = judged(replace(buy(1), strategy="slow"), limits, same=Entered(seconds=Decimal(30)))

    assert the_denial(verdict).limit == "60"


def test_replace_of_a_short_sale_counts_what_it_adds():
    order = replace(sell(101), replaces=True, order_pk=7, held_qty=Decimal(100), held_notional=Decimal(10**6))
    exposure = held(position_qty=100, open_sell_qty=100, open_sell_notional=9900, mark_px=99)

    denial = the_denial(judged(order, book((Control.NO_SHORT_SALES, 1)), exposure=exposure))

    assert (denial.code, denial.found) == ("SHORT_SALE_NOT_ALLOWED", "1")
