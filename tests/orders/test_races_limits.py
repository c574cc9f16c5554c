"""Fifty threads that race with equal orders for one limit: exactly floor(limit / size) are accepted."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial

import pytest

from brokers.models import BrokerAccount
from orders.changes import ReplaceDenied, parse_changes, request_replace
from orders.models import Order, OrderRequest
from risk.limits import LimitValue, set_limits
from risk.models import Control
from risk.rulebook import forget
from tests.factories import trading_desk
from tests.orders.desk import Counterparty, submit
from tests.orders.invariants import assert_books_balance
from tests.orders.racing import race, raise_first, submit_one
from tradingdesk.fix import RequestKind

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

THREADS = 50
SIZE = Decimal(18_240)  # 100 at 182.40
CENT = Decimal("0.01")
PORTFOLIO = Decimal(2_000_000)  # of both accounts
AT_ONE_ACCOUNT = {"broker_name": "alpaca"}


@pytest.fixture(autouse=True)
def desk(transactional_db, wakings):
    forget()
    yield trading_desk()
    forget()


def set_limit(control: Control, value: Decimal) -> None:
    set_limits([LimitValue(control, value)], actor="ann", reason="race")


def set_buying_power(value: Decimal) -> None:
    BrokerAccount.objects.update(buying_power=value)


@dataclass(frozen=True)
class Contest:
    """A limit that orders race for: how it is set, given its value in currency, and the code of its denials."""

    name: str
    code: str
    set_to: Callable[[Decimal], None]
    body: dict = field(default_factory=lambda: AT_ONE_ACCOUNT)

    def __str__(self) -> str:
        return self.name


CONTESTS = [
    Contest(
        "portfolio_risk_limit",
        "GROSS_EXPOSURE_EXCEEDS_LIMIT",
        partial(set_limit, Control.PORTFOLIO_RISK_LIMIT),
        body={},
    ),
    Contest(
        "max_broker_allocation",
        "BROKER_ALLOCATION_EXCEEDS_LIMIT",
        lambda value: set_limit(Control.MAX_BROKER_ALLOCATION, value / PORTFOLIO),
    ),
    Contest("buying_power", "INSUFFICIENT_BUYING_POWER", set_buying_power),
]
LIMITS = [SIZE * 7 - CENT, SIZE * 7, SIZE * 7 + CENT, SIZE * 26 + SIZE / 2]


@pytest.mark.parametrize("limit", LIMITS, ids=["cent-below", "exact", "cent-above", "half-above"])
@pytest.mark.parametrize("contest", CONTESTS, ids=str)
def test_fifty_orders_racing_for_one_limit_pass_exactly_as_many_as_fit(contest, limit):
    contest.set_to(limit)

    statuses = raise_first(race(lambda number: submit_one(number, **contest.body), THREADS))

    fits = int(limit // SIZE)
    assert Counter(statuses) == {"pending": fits, "denied": THREADS - fits}
    assert OrderRequest.objects.count() == fits
    assert sum(row.reserved_notional for row in Order.objects.all()) == SIZE * fits
    codes = {denial["code"] for order in Order.objects.filter(status="denied") for denial in order.denials}
    assert codes == {contest.code}
    assert_books_balance()


def test_limit_below_one_order_lets_none_of_fifty_pass():
    set_limit(Control.PORTFOLIO_RISK_LIMIT, SIZE - CENT)

    assert set(raise_first(race(submit_one, THREADS))) == {"denied"}
    assert not OrderRequest.objects.exists()
    assert_books_balance()


@pytest.mark.parametrize(
    ("control", "value", "fits", "code"),
    [
        (Control.MAX_MESSAGES_PER_MINUTE, 7, 7, "MESSAGE_RATE_EXCEEDS_MAXIMUM"),
        (Control.DUPLICATE_WINDOW, 3600, 1, "DUPLICATE_ORDER"),
    ],
)
def test_fifty_orders_racing_for_a_count_pass_exactly_as_many_as_it_allows(control, value, fits, code):
    set_limit(control, Decimal(value))

    statuses = raise_first(race(submit_one, THREADS))

    assert Counter(statuses) == {"pending": fits, "denied": THREADS - fits}
    codes = {denial["code"] for order in Order.objects.filter(status="denied") for denial in order.denials}
    assert codes == {code}
    assert_books_balance()


def test_fifty_orders_racing_over_both_accounts_fill_both_shares():
    set_limit(Control.MAX_BROKER_ALLOCATION, SIZE * 3 / PORTFOLIO)

    statuses = raise_first(race(submit_one, THREADS))

    assert statuses.count("pending") == 6
    assert Counter(Order.objects.filter(status="pending").values_list("account_id", flat=True)) == {
        "alpaca": 3,
        "alpaca_margin": 3,
    }
    assert_books_balance()


@pytest.mark.parametrize("contest", CONTESTS, ids=str)
def test_replaces_and_orders_racing_for_one_limit_share_it(contest):
    """Half of the threads enlarge an order that works by one more size; the others submit one of that size."""
    working = [Counterparty(submit(**AT_ONE_ACCOUNT)) for _ in range(THREADS // 2)]
    for broker in working:
        broker.acknowledge()
    contest.set_to(SIZE * (len(working) + 9) + SIZE / 2)

    def work(number: int) -> str:
        if number >= len(working):
            return submit_one(number, **contest.body)
        try:
            request_replace(order=working[number].order, changes=parse_changes({"order_qty": "200"}), actor="ann")
        except ReplaceDenied as denied:
            return "denied" if denied.code == contest.code else denied.code
        return "pending"

    statuses = raise_first(race(work, THREADS))

    assert Counter(statuses) == {"pending": 9, "denied": THREADS - 9}
    replaced = OrderRequest.objects.filter(kind=RequestKind.REPLACE).count()
    assert OrderRequest.objects.count() == len(working) + 9
    assert replaced + Order.objects.filter(status="pending").count() == 9
    assert sum(row.reserved_notional for row in Order.objects.all()) == SIZE * (len(working) + 9)
    assert_books_balance()
