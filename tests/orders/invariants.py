"""What must hold of the desk's books at every moment, computed from the facts alone."""

from collections import defaultdict
from decimal import Decimal

from orders import lifecycle
from orders.legs import to_close
from orders.models import Execution, Order, Position
from orders.round_trips import fold
from risk.models import ExposureTotal
from tradingdesk.fields import MONEY_PLACES, fit
from tradingdesk.fix import OrdStatus, Side, WorkingAs

Place = tuple[str, str]  # account and symbol
SUMS = ("gross", "net_high", "net_low", "beta_high", "beta_low", "without_rate", "without_beta")


def assert_books_balance() -> None:
    """Assert that orders, positions, trade logs and exposure totals are what the executions and orders make them."""
    orders = list(Order.objects.prefetch_related("executions", "legs"))
    for order in orders:
        _assert_order_is_its_fold(order)
        _assert_exits_reserve_once(order)
    books = _positions_that_are_folds()
    _assert_exposure_is_a_sum(orders, books)


def _assert_order_is_its_fold(order: Order) -> None:
    fills = list(order.executions.all())
    assert len({fill.exec_id for fill in fills}) == len(fills)
    assert (order.cum_qty, order.avg_px) == lifecycle.totals_of(fills), order
    assert order.status == lifecycle.status_of(order), order
    assert (order.closed_at is not None) == (order.status in lifecycle.CLOSED), order
    _assert_leaves(order)
    _assert_reservation(order)


def _assert_leaves(order: Order) -> None:
    if order.order_qty is None:
        return
    overfilled = order.cum_qty > order.order_qty
    may_trade = order.status in lifecycle.OPEN and order.working_as != WorkingAs.DONE_FOR_DAY and not overfilled
    if may_trade:
        assert order.cum_qty + order.leaves_qty == order.order_qty, order
    if order.status in lifecycle.CLOSED:
        assert order.leaves_qty == 0, order


def _assert_reservation(order: Order) -> None:
    """What may still trade is reserved, at least; what cannot trade is not."""
    waits = order.status == OrdStatus.PENDING_APPROVAL
    if waits or order.status in lifecycle.CLOSED or order.leaves_qty == 0:
        assert (order.reserved_qty, order.reserved_notional) == (0, 0), order
    else:
        is_leg = order.parent_id is not None
        assert is_leg or order.leaves_qty is None or order.reserved_qty >= order.leaves_qty, order
        assert order.reserved_notional == fit(order.reserved_qty * order.reserve_px, MONEY_PLACES), order


def _assert_exits_reserve_once(order: Order) -> None:
    """Of the exits of one entry, one holds what there is to close; those of an "oco" order, only after it."""
    legs = sorted((leg for leg in order.legs.all() if leg.is_open), key=lambda leg: leg.pk)
    if legs:
        first, *others = legs
        left = to_close(order)
        assert first.reserved_qty == max(min(first.order_qty, left) - first.cum_qty, 0), order
        assert not any(leg.reserved_qty for leg in others), order


def _positions_that_are_folds() -> dict[Place, Decimal]:
    """Assert that each position is what its executions make it; what is held, by account and symbol."""
    fills, rows = defaultdict(list), defaultdict(list)
    for fill in Execution.objects.all():
        fills[fill.account_id, fill.symbol].append(fill)
    for row in Position.objects.select_related("trade_log__order").order_by("opened_at", "id"):
        rows[row.account_id, row.symbol].append(row)
    assert rows.keys() <= fills.keys()
    held = {}
    for place, of_place in fills.items():
        live = lifecycle.live_trades(of_place)
        assert [_row_figures(row) for row in rows[place]] == [_trip_figures(trip) for trip in fold(live)]
        held[place] = sum((Side(trade.side).sign * trade.last_qty for trade in live), Decimal(0))
        is_open = [row.qty for row in rows[place] if row.closed_at is None]
        assert is_open == ([held[place]] if held[place] else [])
    return held


def _row_figures(row: Position) -> dict:
    log = row.trade_log
    assert (log.opened_at, log.closed_at, log.commission) == (row.opened_at, row.closed_at, row.commission)
    assert (log.gross_pnl, log.net_pnl) == (row.realized_pnl, row.realized_pnl - row.commission)
    assert log.strategy == (log.order.strategy if log.order else "")
    return {
        "qty": row.qty,
        "avg_px": row.avg_px,
        "realized_pnl": row.realized_pnl,
        "commission": row.commission,
        "times": (row.opened_at, row.last_trade_at, row.closed_at),
        "last_exec_id": row.last_exec_id,
        "direction": 1 if log.direction == "long" else -1,
        "entry": (log.entry_qty, log.entry_px),
        "exit": (log.exit_qty, log.exit_px),
        "order": log.order_id,
    }


def _trip_figures(trip) -> dict:
    return {
        "qty": trip.qty,
        "avg_px": trip.avg_px,
        "realized_pnl": trip.realized_pnl,
        "commission": trip.commission,
        "times": (trip.opened_at, trip.last_trade_at, trip.closed_at),
        "last_exec_id": trip.last_exec_id,
        "direction": trip.direction,
        "entry": (trip.entry_qty, trip.entry_px),
        "exit": (trip.exit_qty, trip.exit_px),
        "order": trip.order_pk,
    }


def _assert_exposure_is_a_sum(orders: list[Order], held: dict[Place, Decimal]) -> None:
    entered = defaultdict(lambda: {side: [Decimal(0), Decimal(0)] for side in Side})
    for order in orders:
        of_side = entered[order.account_id, order.symbol][Side(order.side)]
        of_side[0] += order.reserved_qty
        of_side[1] += order.reserved_notional
    sums = defaultdict(lambda: defaultdict(Decimal))
    for row in ExposureTotal.objects.exclude(symbol=""):
        place = row.broker_name, row.symbol
        _assert_symbol_row(row, entered[place], held.get(place, Decimal(0)))
        for key in (f"1:{row.broker_name}", f"3:{row.broker_name}:{row.sector}"):
            for name in SUMS:
                sums[key][name] += getattr(row, name)
    for row in ExposureTotal.objects.filter(symbol="").exclude(broker_name=""):
        assert {name: getattr(row, name) for name in SUMS} == {name: sums[row.key][name] for name in SUMS}, row


def _assert_symbol_row(row: ExposureTotal, entered: dict[Side, list[Decimal]], held: Decimal) -> None:
    assert [row.open_buy_qty, row.open_buy_notional] == entered[Side.BUY], row
    assert [row.open_sell_qty, row.open_sell_notional] == entered[Side.SELL], row
    assert row.position_qty == held, row
    value, rate = row.position_qty * row.mark_px, row.fx_rate or 1
    ends = (value + row.open_buy_notional) * rate, (value - row.open_sell_notional) * rate
    assert row.gross == fit(max(map(abs, ends)), MONEY_PLACES), row
    assert [row.net_high, row.net_low] == [fit(end, MONEY_PLACES) for end in ends], row
    assert row.without_rate == (row.fx_rate is None and row.gross > 0), row
    assert row.without_beta == (row.beta is None and row.gross > 0), row
