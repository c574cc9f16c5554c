"""Trades that a broker tells in two ways, under ids that nothing ties together, are booked once."""

from decimal import Decimal
from itertools import permutations

import pytest

from orders.models import BrokerMessage, Execution, Position
from orders.retold import note_told_again
from tests.orders.desk import Counterparty, roomy_desk, submit
from tradingdesk.fix import ExecType, OrdStatus

pytestmark = pytest.mark.django_db


@pytest.fixture
def broker() -> Counterparty:
    """The broker's side of a working order to buy 100."""
    roomy_desk("alpaca")
    broker = Counterparty(submit(broker_name="alpaca"))
    broker.acknowledge()
    return broker


def held() -> Decimal:
    position = Position.objects.filter(closed_at=None).first()
    return position.qty if position else Decimal(0)


def streamed(broker: Counterparty, exec_id: str, qty, cum, px=100, **facts):
    return broker.fill(f"S{exec_id}", qty, px, cum_qty=cum, source="stream", **facts)


def listed(broker: Counterparty, exec_id: str, qty, cum, px=100, **facts):
    return broker.fill(f"A::{exec_id}", qty, px, cum_qty=cum, source="activities", **facts)


@pytest.mark.parametrize("ways", [(streamed, listed), (listed, streamed)])
def test_trade_told_in_both_ways_is_booked_once(broker, ways):
    first, second = ways
    assert first(broker, "1", 40, 40) is not None
    assert second(broker, "1", 40, 40) is None
    assert second(broker, "1", 40, 40) is None
    assert (broker.order.cum_qty, held()) == (40, 40)
    assert Execution.objects.count() == 1
    assert BrokerMessage.objects.filter(kind="trade_again").count() == 1


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_two_equal_fills_told_twice_in_any_order_are_two(broker, order):
    tellings = [(streamed, "1", 50), (streamed, "2", 100), (listed, "1", 50), (listed, "2", 100)]
    for place in order:
        tell, exec_id, cum = tellings[place]
        tell(broker, exec_id, 50, cum)
    assert (broker.order.cum_qty, held(), broker.order.status) == (100, 100, OrdStatus.FILLED)
    assert Execution.objects.count() == 2


@pytest.mark.parametrize(
    "other",
    [{"qty": 39, "cum": 40, "seconds": 9}, {"qty": 40, "cum": 80}, {"qty": 40, "cum": 40, "px": 101, "seconds": 9}],
    ids=["other quantity", "later in the order", "other price"],
)
def test_trades_that_differ_are_two(broker, other):
    streamed(broker, "1", 40, 40)
    assert listed(broker, "2", **other) is not None
    assert Execution.objects.count() == 2


def test_list_of_trades_that_the_stream_told_is_noted_at_once_and_the_rest_is_left_to_be_booked(broker):
    other = Counterparty(submit(broker_name="alpaca"))
    other.acknowledge()
    for one in (broker, other):
        streamed(one, f"1-{one.order.pk}", 40, 40)
        streamed(one, f"2-{one.order.pk}", 40, 80)
    listed_now = [
        one.report(ExecType.TRADE, exec_id=f"A{number}", last_qty=40, last_px=100, cum_qty=cum, source="activities")
        for number, (one, cum) in enumerate([(broker, 40), (other, 40), (other, 80), (other, 120)])
    ]

    noted = [note_told_again(broker.account, listed_now) for _ in range(2)]

    assert noted == [{"A0", "A1", "A2"}] * 2
    assert BrokerMessage.objects.filter(kind="trade_again").count() == 3
    assert Execution.objects.count() == 4
    assert broker.bust("SB", f"S1-{broker.order.pk}", source="stream", last_qty=40, last_px=100) is not None
    assert held() == 120


def test_list_that_tells_of_an_order_with_a_bust_is_left_to_be_booked_one_by_one(broker):
    streamed(broker, "1", 40, 40)
    broker.bust("SB", "S1", source="stream", last_qty=40, last_px=100)
    again = broker.report(ExecType.TRADE, exec_id="A1", last_qty=40, last_px=100, cum_qty=40, source="activities")

    assert note_told_again(broker.account, [again]) == set()


def test_brokers_with_one_name_for_a_trade_are_not_compared(broker):
    broker.fill("X1", 40, cum_qty=40)
    assert broker.fill("X2", 40, cum_qty=40) is not None
    assert held() == 80


def test_bust_by_the_streams_name_ends_the_trade_that_was_listed_first(broker):
    listed(broker, "1", 40, 40)
    streamed(broker, "1", 40, 40)
    assert broker.bust("SB", "S1", source="stream", last_qty=40, last_px=100) is not None
    assert (broker.order.cum_qty, held()) == (0, 0)
    assert listed(broker, "1", 40, 40) is None


def test_correction_by_the_streams_name_corrects_the_trade_that_was_listed_first(broker):
    listed(broker, "1", 40, 40)
    streamed(broker, "1", 40, 40)
    broker.correct("SC", "S1", 40, 99, source="stream")
    assert (broker.order.cum_qty, broker.order.avg_px) == (40, 99)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_bust_ends_its_trade_whatever_is_told_first(broker, order):
    """The listing names the trade A::1, the stream S1, and the bust is of S1."""
    tellings = [
        lambda: listed(broker, "1", 40, 40, seconds=10),
        lambda: streamed(broker, "1", 40, 40, seconds=10),
        lambda: broker.bust("SB", "S1", source="stream", last_qty=40, last_px=100, seconds=20),
    ]
    for place in order:
        tellings[place]()
    assert (broker.order.cum_qty, held()) == (0, 0)
    assert broker.order.status == OrdStatus.NEW


def test_trade_listed_with_its_corrected_figures_is_known(broker):
    streamed(broker, "1", 40, 40)
    broker.correct("SC", "S1", 30, 99, source="stream")
    assert listed(broker, "1", 30, 40, 99) is None
    assert (broker.order.cum_qty, held()) == (30, 30)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_correction_holds_whatever_is_told_first_and_listed_with_its_figures(broker, order):
    """The listing is of after the correction, the stream's trade of before it."""
    tellings = [
        lambda: listed(broker, "1", 30, 40, 99, seconds=10),
        lambda: streamed(broker, "1", 40, 40, 100, seconds=10),
        lambda: broker.correct("SC", "S1", 30, 99, source="stream", seconds=20),
    ]
    for place in order:
        tellings[place]()
    assert (broker.order.cum_qty, broker.order.avg_px, held()) == (30, 99, 30)


def test_new_trade_that_looks_like_a_busted_one_is_booked(broker):
    streamed(broker, "1", 100, 100, seconds=10)
    broker.bust("SB", "S1", source="stream", last_qty=100, last_px=100, seconds=20)
    assert listed(broker, "2", 100, 100, seconds=30) is not None
    assert streamed(broker, "2", 100, 100, seconds=30) is None
    assert (broker.order.cum_qty, held()) == (100, 100)


def test_late_listing_of_a_busted_trade_is_known(broker):
    streamed(broker, "1", 100, 100, seconds=10)
    broker.bust("SB", "S1", source="stream", last_qty=100, last_px=100, seconds=20)
    assert listed(broker, "1", 100, 100, seconds=10) is None
    assert (broker.order.cum_qty, held()) == (0, 0)


def test_trade_that_was_booked_after_the_list_was_read_is_not_another_telling_of_itself(broker):
    from_the_list = listed(broker, "1", 40, 40)
    again = broker.report(
        ExecType.TRADE, exec_id=from_the_list.exec_id, last_qty=40, last_px=100, cum_qty=40, source="activities"
    )

    note_told_again(broker.account, [again])

    assert streamed(broker, "1", 40, 40) is None
    assert (broker.order.cum_qty, held(), Execution.objects.count()) == (40, 40, 1)
