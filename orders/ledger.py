"""What reports of one account move: its rows are locked once, moved in memory, and written together.

Locks are taken in the desk's order, see `orders.moving`.
"""

from collections.abc import Iterable, Sequence
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
from tradingdesk.statements import Later, Param, Select, insert, together, update

TOLD_AGAIN = "trade_again"

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
        keys = padded({order.pk for order in orders})
        with together():
            if trades:
                lock_book.later(account=account.pk)
            locked = _lock_orders(len(keys)).later(**named(keys))
            known = _ask_executions(account, trades) if trades else list
        self.orders: dict[int, Order] = {row.pk: row for row in locked()}
        self._executions = {pk: [one for one in known() if one.order_id == pk] for pk, _ in trades}
        self._taken = {one.exec_id for one in known() if one.account_id == account.pk}
        self._other_names: dict[int, dict[str, str]] = {}
        self._unanswered: dict[int, list[OrderRequest]] | None = None
        self._positions: dict[int, Position | None] = {}
        self._new: dict[type[models.Model], list[models.Model]] = {}
        self._moved: dict[tuple[type[models.Model], Any], models.Model] = {}

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
            keys = padded(self.orders)
            self._unanswered = {pk: [] for pk in self.orders}
            for request in _unanswered_of(len(keys))(**named(keys)):
                self._unanswered[request.order_id].append(request)
        return self._unanswered[order.pk]

    def answered(self, request: OrderRequest) -> None:
        """Take a request, which has its answer now, from those that wait."""
        self._unanswered[request.order_id].remove(request)
        self.moved(request)

    def position_of(self, instrument: int) -> Position | None:
        """The account's last position in an instrument, open or not."""
        if instrument not in self._positions:
            self._positions[instrument] = _last_position.first(account=self.account.pk, instrument=instrument)
        return self._positions[instrument]

    def note_position(self, position: Position | None, instrument: int) -> None:
        """Take another row for the last position in an instrument."""
        self._positions[instrument] = position

    def add(self, row: models.Model) -> None:
        """Take up a new row, which gets its key when it is written."""
        self._new.setdefault(type(row), []).append(row)

    def moved(self, row: models.Model) -> None:
        """Note that a row has changed."""
        self._moved[type(row), row.pk] = row

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
                update(row)
        self._new, self._moved = {}, {}

    def close(self) -> None:
        """Write everything, and move exposure, which is locked only now."""
        self.write()
        exposure.move_all(self.account.broker_name, self.shifts)


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
