"""Two people, the clock and a halt at one order that waits: one of them decides, and nothing goes out twice."""

from collections import Counter

import pytest

from orders.approvals import approve_order, expire_approvals, refuse_order
from orders.changes import request_cancel
from orders.models import Approval, Order, OrderRequest
from risk.halts import halt
from risk.models import Control
from risk.rulebook import forget
from tests.factories import trading_desk
from tests.orders.invariants import assert_books_balance
from tests.orders.racing import race, raise_first
from tests.orders.soft import held_order, limit, soft_limit, time_passes
from tradingdesk.errors import Conflict

pytestmark = pytest.mark.django_db(transaction=True)

PEOPLE = 8


@pytest.fixture(autouse=True)
def desk(transactional_db, wakings):
    forget()
    trading_desk()
    soft_limit()
    yield
    forget()


def approve(order: Order, number: int) -> str:
    return approve_order(order=order, actor=f"person-{number}", reason="hedge").status


def outcomes(results: list) -> Counter:
    raise_first([one for one in results if not isinstance(one, Conflict)])
    return Counter(one.code if isinstance(one, Conflict) else one for one in results)


def state_of(order: Order) -> tuple[str, str, int]:
    requests = OrderRequest.objects.filter(order=order).count()
    return Order.objects.get(pk=order.pk).status, Approval.objects.get(order=order).state, requests


def test_of_people_approving_at_once_one_wins_and_the_order_goes_once():
    order = held_order()
    results = outcomes(race(lambda number: approve(order, number), threads=PEOPLE))
    assert results == {"pending": 1, "APPROVAL_DECIDED": PEOPLE - 1}
    assert state_of(order) == ("pending", "approved", 1)
    assert_books_balance()


def test_of_an_approval_and_a_refusal_at_once_one_wins():
    order = held_order()

    def decide(number: int) -> str:
        if number % 2:
            return refuse_order(order=order, actor=f"person-{number}", reason="no").status
        return approve(order, number)

    results = outcomes(race(decide, threads=PEOPLE))
    assert results["APPROVAL_DECIDED"] == PEOPLE - 1
    assert state_of(order) in (("pending", "approved", 1), ("denied", "refused", 0))
    assert_books_balance()


def test_approval_racing_the_end_of_its_time_never_sends_what_expired():
    order = held_order()
    time_passes(order)

    def act(number: int):
        return expire_approvals() if number % 2 else approve(order, number)

    results = outcomes(race(act, threads=PEOPLE))
    assert results[1] <= 1
    assert set(results) <= {0, 1, "APPROVAL_EXPIRED", "APPROVAL_DECIDED"}
    assert state_of(order) == ("expired", "expired", 0)
    assert_books_balance()


def test_approval_racing_a_cancel_leaves_nothing_to_send():
    order = held_order()

    def act(number: int):
        return approve(order, number) if number % 2 else str(request_cancel(order=order, actor="ann"))

    results = outcomes(race(act, threads=PEOPLE))
    assert Order.objects.get(pk=order.pk).status == "canceled", results
    assert not OrderRequest.objects.unanswered().exists()
    assert Approval.objects.get().state in ("approved", "withdrawn")
    assert_books_balance()


def test_approval_racing_a_halt_goes_before_it_or_is_denied_by_it():
    order = held_order()

    def act(number: int) -> str:
        return approve(order, number) if number else str(halt(scope="firm", reason="stop", actor="rita").pk)

    raise_first(race(act, threads=2))
    assert state_of(order) in (("pending", "approved", 1), ("denied", "denied", 0))
    assert_books_balance()


def test_approvals_racing_for_one_hard_limit_pass_exactly_as_many_as_fit():
    orders = [held_order() for _ in range(PEOPLE)]
    limit(Control.PORTFOLIO_RISK_LIMIT, 18_240 * 3 + 1)
    results = outcomes(race(lambda number: approve(orders[number], number), threads=PEOPLE))
    assert results == {"pending": 3, "denied": PEOPLE - 3}
    assert OrderRequest.objects.count() == 3
    assert_books_balance()
