"""Whatever order facts come in, the order ends in the same state."""

from dataclasses import dataclass
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from brokers.messages import ExecutionReport
from orders import lifecycle
from tests.orders.facts import Filling, bust, correction, report, trade, unsaved_order
from tradingdesk.fields import fit
from tradingdesk.fix import ExecType, OrdStatus

TERMINAL = (ExecType.CANCELED, ExecType.EXPIRED, ExecType.REJECTED, ExecType.DONE_FOR_DAY)
quantities = st.decimals("0.000000001", "9999", places=9)
prices = st.decimals("0.0001", "9999", places=4)
moments = st.integers(0, 30)


@dataclass(frozen=True)
class Family:
    """A trade and all that is said about it, with what should count of it."""

    fills: list[Filling]
    qty: Decimal
    px: Decimal


@st.composite
def families(draw, name: str) -> Family:
    """A trade, a chain of corrections that each name the trade or the one before, perhaps a bust of any of them."""
    fills = [trade(f"{name}-0", draw(quantities), draw(prices), seconds=draw(moments))]
    by_original = draw(st.booleans())
    # Corrections that all name the trade are told apart by time; in a chain, the chain tells.
    times = range(100, 103) if by_original else [draw(moments) for _ in range(3)]
    for number in range(1, draw(st.integers(0, 3)) + 1):
        ref = fills[0].exec_id if by_original else fills[-1].exec_id
        seconds = times[number - 1]
        fills.append(correction(f"{name}-{number}", ref, draw(quantities), draw(prices), seconds=seconds))
    last = fills[-1]
    if not draw(st.booleans()):
        return Family(fills, last.last_qty, last.last_px)
    busted = bust(f"{name}-b", draw(st.sampled_from(fills)).exec_id, seconds=draw(moments))
    return Family([*fills, busted], Decimal(0), Decimal(0))


@st.composite
def lives(draw) -> tuple[list[Family], list[ExecutionReport | Filling]]:
    """Some families and at most one terminal report, and all of it shuffled."""
    drawn = [draw(families(name)) for name in "abcd"[: draw(st.integers(0, 4))]]
    facts = [fill for family in drawn for fill in family.fills]
    facts += [report(kind, seconds=draw(moments)) for kind in TERMINAL if draw(st.booleans())][:1]
    return drawn, draw(st.permutations(facts))


def play(facts, order_qty=Decimal(5000)):
    """Tell an order its facts one by one, as production does; the order."""
    order, fills = unsaved_order(order_qty), []
    for fact in facts:
        if isinstance(fact, ExecutionReport):
            order.apply(fact)
        else:
            fills.append(fact)
            order.apply(report(fact.exec_type, exec_id=fact.exec_id), fills)
    return order


def state_of(order):
    """All of the fold's outcome; when the desk noticed (`closed_at`) is not part of it."""
    worked = order.working_as, order.working_at, order.closed_as
    return order.status, order.cum_qty, order.leaves_qty, order.avg_px, *worked


@given(lives(), st.randoms(use_true_random=False))
def test_any_permutation_of_fills_and_one_terminal_report_ends_in_the_same_state(life, random):
    _, facts = life
    shuffled = random.sample(facts, len(facts))

    assert state_of(play(facts)) == state_of(play(shuffled))


@given(lives())
def test_totals_are_those_of_the_last_word_on_each_trade(life):
    drawn, facts = life

    order = play(facts)

    cum_qty = sum((family.qty for family in drawn), Decimal(0))
    value = sum((family.qty * family.px for family in drawn), Decimal(0))
    assert order.cum_qty == cum_qty
    assert order.avg_px == (fit(value / cum_qty) if cum_qty else None)


@given(lives())
def test_hearing_everything_twice_changes_nothing(life):
    drawn, facts = life
    order = play(facts)
    before = state_of(order)

    fills = [fill for family in drawn for fill in family.fills]
    for fact in facts:
        again = fact if isinstance(fact, ExecutionReport) else report(fact.exec_type)
        order.apply(again, fills)

    assert state_of(order) == before


@given(lives())
def test_cum_and_leaves_add_up_to_the_quantity_while_the_order_works(life):
    order = play(life[1])

    if order.cum_qty <= order.order_qty and order.closed_as is None and order.status != OrdStatus.DONE_FOR_DAY:
        assert order.cum_qty + order.leaves_qty == order.order_qty
    if order.status in lifecycle.CLOSED:
        assert order.leaves_qty == 0


@given(lives())
def test_status_is_filled_exactly_when_all_has_traded_and_nothing_else_closed_it(life):
    order = play(life[1])

    undisturbed = order.closed_as is None and order.status != OrdStatus.DONE_FOR_DAY
    assert (order.status == OrdStatus.FILLED) == (undisturbed and order.cum_qty >= order.order_qty)


@given(lives())
def test_live_trades_are_one_for_each_trade_that_stands(life):
    drawn, facts = life
    live = lifecycle.live_trades([fact for fact in facts if isinstance(fact, Filling)])

    standing = {family.fills[-1].exec_id for family in drawn if family.fills[-1].exec_type != ExecType.TRADE_CANCEL}
    assert {trade.standing_exec_id for trade in live} == standing
    assert len(live) == len(standing)
