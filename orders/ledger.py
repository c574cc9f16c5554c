"""What reports of one account move: its rows are locked once, moved in memory, and written together.

Locks are taken in the desk's order, see `orders.moving`.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from django.db import models
from django.db.models import Q

from brokers.messages import ExecutionReport
from brokers.models import BrokerAccount, Instrument
from orders.models import BrokerMessage, Execution, Order, OrderRequest, Position
from orders.moving import lock_book, settle_reservation
from risk import exposure
from risk.exposure import Shift
from tradingdesk.statements import Later, Param, Select, changed, insert, together, update

TOLD_AGAIN = "trade_again"
_Key = tuple[type[models.Model], Any]

_last_position = Select(
    Position.objects.filter(
        account=Param("account"), instrument=Param("instrument", Instrument._meta.pk), historic=False
    )
    .select_related("trade_log")
    .order_by("-opened_at", "-id")[:1]
)
_other_names_of = Select(
    BrokerMessage.objects.filter(order=Param("order", Order._meta.pk), kind=TOLD_AGAIN).defer("raw").order_by("id")
)


class Ledger:
    """The rows of one transaction. `orders` are locked; where it has trades, so is the account's book.

    A trade is the key of its order, and its report.
    """

    def __init__(
        self, account: BrokerAccount, orders: Iterable[Order], trades: Sequence[tuple[int, ExecutionReport]] = ()
    ):
        self.account = account
        self.shifts: list[Shift] = []
        self._other_names: dict[int, dict[str, str]] = {}
        self._new: dict[type[models.Model], list[models.Model]] = {}
        self._moved: dict[_Key, models.Model] = {}
        self._stored: dict[_Key, dict[str, Any]] = {}
        self._lock({order.pk: order for order in orders}, trades)

    def _lock(self, found: Mapping[int, Order], trades: Sequence[tuple[int, ExecutionReport]]) -> None:
        """Lock the orders and read what their reports are likely to move, in one round trip."""
        keys, instruments = padded(found), {found[pk].instrument_id for pk, _ in trades}
        are_known = all(order.acknowledged_at for order in found.values())
        with together():
            if trades:
                lock_book.later(account=self.account.pk)
            locked = _lock_orders(len(keys)).later(**named(keys))
            told = _ask_executions(self.account, trades) if trades else list
            last = {pk: _last_position.later(account=self.account.pk, instrument=pk) for pk in instruments}
            waiting = None if are_known else _ask_unanswered(keys)
        self.orders: dict[int, Order] = {row.pk: self._noted(row) for row in locked()}
        self._executions = {pk: [one for one in told() if one.order_id == pk] for pk, _ in trades}
        self._taken = {one.exec_id for one in told() if one.account_id == self.account.pk}
        self._positions = {pk: self._noted_position(rows()) for pk, rows in last.items()}
        self._unanswered = self._by_order(waiting()) if waiting else None

    def executions_of(self, order: Order) -> list[Execution]:
        """Every execution of an order, those of this transaction included."""
        return self._executions[order.pk]

    def has_execution(self, exec_id: str) -> bool:
        """Whether the account has an execution of this id."""
        return exec_id in self._taken

    def other_names_of(self, order: Order) -> dict[str, str]:
        """Ids that the order's trades were told under again, each with the id that the trade is stored under."""
        if order.pk not in self._other_names:
            told = _other_names_of(order=order.pk)
            self._other_names[order.pk] = {one.normalized["exec_id"]: one.normalized["exec_ref_id"] for one in told}
        return self._other_names[order.pk]

    def add_execution(self, execution: Execution) -> None:
        """Take up a new execution."""
        self._executions[execution.order_id].append(execution)
        self._taken.add(execution.exec_id)
        self.add(execution)

    def unanswered_of(self, order: Order) -> list[OrderRequest]:
        """The order's requests that wait for proof, in their order."""
        if self._unanswered is None:
            with together():
                waiting = _ask_unanswered(padded(self.orders))
            self._unanswered = self._by_order(waiting())
        return self._unanswered[order.pk]

    def answered(self, request: OrderRequest) -> None:
        """Take a request, which has its answer now, from those that wait."""
        self._unanswered[request.order_id].remove(request)
        self.moved(request)

    def position_of(self, instrument: int) -> Position | None:
        """The account's last position in an instrument that is traded here, open or not."""
        return self._positions[instrument]

    def note_position(self, position: Position | None, instrument: int) -> None:
        """Take another row for the last position in an instrument."""
        self._positions[instrument] = position

    def add(self, row: models.Model) -> None:
        """Take up a new row, which gets its key when it is written."""
        self._new.setdefault(type(row), []).append(row)

    def moved(self, row: models.Model) -> None:
        """Note that a row has changed."""
        self._moved[_key(row)] = row

    def settle(self, order: Order) -> bool:
        """Bring what an order holds in line with how it stands now; whether that moved exposure."""
        shifts = settle_reservation(order)
        self.shifts += shifts
        return bool(shifts)

    def write(self) -> None:
        """Write the rows that have changed since the last time; reads of the database see them after this."""
        with together():
            for rows in self._new.values():
                insert(*rows)
            for row in self._moved.values():
                self._write(row)
        self._new, self._moved = {}, {}

    def _write(self, row: models.Model) -> None:
        """Write what has changed of a row; all of one that this did not read."""
        before = self._stored.get(_key(row))
        names = changed(row, before) if before else ()
        if names or not before:
            update(row, *names)
        self._noted(row)

    def close(self) -> None:
        """Write everything, and move exposure, which is locked only now."""
        with together():
            self.write()
            move = exposure.ask_to_move(self.account.broker_name, self.shifts)
        move()

    def _noted(self, row: models.Model) -> models.Model:
        """Remember how a row is in the database."""
        self._stored[_key(row)] = dict(vars(row))
        return row

    def _noted_position(self, rows: Sequence[Position]) -> Position | None:
        for position in rows:
            self._noted(position.trade_log)
            return self._noted(position)
        return None

    def _by_order(self, requests: Iterable[OrderRequest]) -> dict[int, list[OrderRequest]]:
        waiting: dict[int, list[OrderRequest]] = {pk: [] for pk in self.orders}
        for request in requests:
            waiting[request.order_id].append(self._noted(request))
        return waiting


def _key(row: models.Model) -> _Key:
    return type(row), row.pk


def _ask_unanswered(keys: Sequence[int]) -> Later:
    return _unanswered_of(len(keys)).later(**named(keys))


def _ask_executions(account: BrokerAccount, trades: Sequence[tuple[int, ExecutionReport]]) -> Later:
    """What is known of the orders of these trades, and whoever has their ids."""
    orders, ids = padded({pk for pk, _ in trades}), padded({report.exec_id for _, report in trades})
    return _executions_of(len(orders), len(ids)).later(account=account.pk, **named(orders), **named(ids, "exec_id"))


def padded(keys: Iterable[Any]) -> list[Any]:
    """The keys in their order, the last repeated up to a power of two: few lengths make few statements."""
    keys = sorted(keys)
    return keys + keys[-1:] * ((1 << (len(keys) - 1).bit_length()) - len(keys))


def named(values: Iterable[Any], name: str = "key") -> dict[str, Any]:
    """Values as the parameters of a statement that `places` made the places of."""
    return {f"{name}{number}": value for number, value in enumerate(values)}


def places(count: int, field: models.Field | None = None, name: str = "key") -> list[Param]:
    """So many places of a statement."""
    return [Param(f"{name}{number}", field) for number in range(count)]


@cache
def _lock_orders(count: int) -> Select:
    keys = places(count, Order._meta.pk)
    return Select(Order.objects.locked().filter(pk__in=keys))


@cache
def _unanswered_of(count: int) -> Select:
    keys = places(count, Order._meta.pk)
    return Select(OrderRequest.objects.filter(order__pk__in=keys).unanswered().order_by("id"))


@cache
def _executions_of(orders: int, ids: int) -> Select:
    of_orders = Q(order__pk__in=places(orders, Order._meta.pk))
    of_ids = Q(account=Param("account"), exec_id__in=places(ids, name="exec_id"))
    return Select(Execution.objects.filter(of_orders | of_ids).defer("raw", "text").order_by("id"))
