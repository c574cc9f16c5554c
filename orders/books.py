"""What must hold of the desk's books at every moment: each order, position and total is what the facts make it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal

from django.db.models import Prefetch, QuerySet

from orders import lifecycle
from orders.models import Execution, Order, Position
from orders.openings import opening_among
from orders.round_trips import LEGACY_EXEC_ID, RoundTrip, fold
from risk.exposure import keys_above
from risk.models import ExposureTotal
from risk.sums import SUMS, kept_sums, sums_of
from tradingdesk.audit.models import AuditEvent
from tradingdesk.fields import fit, plain
from tradingdesk.fix import Side

BATCH = 2000
_BOOKED = ("execution", "execution.bust", "execution.correct")
_FIGURES = ("qty", "avg_px", "realized_pnl", "commission", "opened_at", "closed_at", "last_trade_at", "last_exec_id")

Entered = dict[tuple[str, str, str], list[Decimal]]


def discrepancies() -> Iterator[str]:
    """Say everything that does not hold, one line each; reads the whole database, a part at a time.

    What came from a legacy database was checked as it came, and is left out where it is no fold.
    """
    yield from _orders()
    yield from _positions()
    yield from _exposure()
    yield from _trail()


def _orders() -> Iterator[str]:
    """Orders of the desk are folds over their executions."""
    fills = Prefetch("executions", queryset=_lean(Execution.objects.order_by("id")))
    orders = Order.objects.filter(legacy_id=None).order_by("pk").prefetch_related(fills)
    for order in orders.iterator(chunk_size=BATCH):
        cum_qty, avg_px = lifecycle.totals_of(order.executions.all())
        if (order.cum_qty, order.avg_px) != (cum_qty, avg_px):
            booked, traded = _at(order.cum_qty, order.avg_px), _at(cum_qty, avg_px)
            yield f"order {order}: {booked} here, its executions make {traded}"
        if order.status != lifecycle.status_of(order):
            yield f"order {order}: it is {order.status}, its facts make it {lifecycle.status_of(order)}"


def _positions() -> Iterator[str]:
    """Positions are folds over what was traded."""
    booked = Position.objects.filter(historic=False).values_list("account_id", "instrument_id")
    traded = Execution.objects.exclude(exec_id__startswith=LEGACY_EXEC_ID).values_list("account_id", "instrument_id")
    for account, instrument in sorted({*booked.order_by().distinct(), *traded.order_by().distinct()}):
        found = {"account_id": account, "instrument_id": instrument}
        rows = list(
            Position.objects.filter(**found, historic=False).select_related("trade_log").order_by("opened_at", "id")
        )
        fills = _lean(Execution.objects.filter(**found).exclude(exec_id__startswith=LEGACY_EXEC_ID))
        trips = fold(lifecycle.live_trades(fills), opening_among(rows))
        if [_figures(row) for row in rows] != [_figures(trip) for trip in trips]:
            symbol = rows[0].symbol if rows else f"instrument {instrument}"
            yield f"position {account} {symbol}: {_held(rows)} here, its executions make {_held(trips)}"


def _exposure() -> Iterator[str]:
    """Totals are the sums of what orders reserve and positions hold."""
    entered, above = _entered(), defaultdict(lambda: [Decimal(0)] * len(SUMS))
    held = {
        (account, symbol): qty
        for account, symbol, qty in Position.objects.filter(closed_at=None).values_list("account_id", "symbol", "qty")
    }
    seen = set()
    for row in ExposureTotal.objects.symbols().order_by("key").iterator(chunk_size=BATCH):
        seen.add((row.broker_name, row.symbol))
        for key in keys_above(row):
            above[key] = [total + part for total, part in zip(above[key], kept_sums(row), strict=True)]
        if _row(row) != _sums(row, entered, held):
            yield f"exposure {row.key}: {_row(row)} here, orders and positions make {_sums(row, entered, held)}"
    for account, symbol in sorted(({(a, s) for a, s, _ in entered} | held.keys()) - seen):
        yield f"exposure of {account} {symbol}: there is no total"
    for row in (ExposureTotal.objects.accounts() | ExposureTotal.objects.sectors()).order_by("key"):
        for name, here, made in zip(SUMS, kept_sums(row), above[row.key], strict=True):
            if here != made:
                yield f"exposure {row.key}: {plain(Decimal(here))} here, its symbols make {plain(made)} ({name})"


def _entered() -> Entered:
    """What orders hold of the totals: quantity and notional by account, symbol and side."""
    found: Entered = defaultdict(lambda: [Decimal(0), Decimal(0)])
    holding = Order.objects.exclude(account=None).exclude(reserved_qty=0, reserved_notional=0)
    columns = ("account_id", "symbol", "side", "reserved_qty", "reserved_notional")
    for account, symbol, side, qty, notional in holding.order_by().values_list(*columns).iterator(chunk_size=BATCH):
        sums = found[account, symbol, side]
        sums[0] += qty
        sums[1] += notional
    return found


def _row(row: ExposureTotal) -> dict[str, str]:
    entered = [row.open_buy_qty, row.open_buy_notional, row.open_sell_qty, row.open_sell_notional]
    return _totals(entered, row.position_qty, kept_sums(row))


def _sums(row: ExposureTotal, entered: Entered, held: dict[tuple[str, str], Decimal]) -> dict[str, str]:
    sides = [entered.get((row.broker_name, row.symbol, side), [Decimal(0)] * 2) for side in (Side.BUY, Side.SELL)]
    position_qty = held.get((row.broker_name, row.symbol), Decimal(0))
    return _totals([*sides[0], *sides[1]], position_qty, sums_of(row))


def _totals(entered: Iterable[Decimal], position_qty: Decimal, sums: Iterable[Decimal]) -> dict[str, str]:
    names = ("open_buy_qty", "open_buy_notional", "open_sell_qty", "open_sell_notional", "position_qty")
    held = {name: plain(fit(value)) for name, value in zip(names, [*entered, position_qty], strict=True)}
    return held | _named(sums)


def _named(sums: Iterable[Decimal]) -> dict[str, str]:
    return {name: plain(Decimal(value)) for name, value in zip(SUMS, sums, strict=True)}


def _trail() -> Iterator[str]:
    """Every execution of the desk was told in the trail as it was booked."""
    booked = Execution.objects.exclude(exec_id__startswith=LEGACY_EXEC_ID).count()
    told = AuditEvent.objects.filter(kind__in=_BOOKED).count()
    if told < booked:
        yield f"the trail tells of {told:,} executions, and {booked:,} are booked"


def _lean(executions: QuerySet[Execution]) -> QuerySet[Execution]:
    return executions.defer("raw", "text")


def _figures(row: Position | RoundTrip) -> list:
    return [getattr(row, name) for name in _FIGURES]


def _held(rows: list[Position] | list[RoundTrip]) -> str:
    held = [row.qty for row in rows if row.closed_at is None]
    return f"{plain(held[0]) if held else '0'} in {len(rows)} round trips"


def _at(qty: Decimal, px: Decimal | None) -> str:
    return f"{plain(qty)} at {plain(px)}"
