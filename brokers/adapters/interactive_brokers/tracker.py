"""What the orders of the account are, from TWS's messages: each is folded in, and what is new in it becomes a fact.

Runs on the connection's event loop. An order is known by its permId, which is the account's; TWS's order ids are each
client's own, and some messages about an order carry no more than that.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from brokers.messages import ExecutionReport
from tradingdesk.fix import ExecType, OrdStatus, TimeInForce

from . import codes, orders, parsing
from .config import IBSettings
from .recent import Recent
from .trades import TradeBook
from .wire import Commission, Notice, OpenOrder, OrderStatus, Trade

ORDERS_KEPT, IDS_KEPT = 10_000, 100_000
# "Inactive" is explained by a rejection that comes within moments, or not at all.
INACTIVE_GRACE = 1.0


@dataclass(slots=True)
class KnownOrder:
    """An order as TWS last told it; without `order` where only its status was seen."""

    perm_id: int
    client_id: int
    order_id: int
    at: datetime
    contract: Any = None
    order: Any = None
    word: str = ""
    filled: Decimal | None = None
    remaining: Decimal | None = None
    avg_px: Decimal | None = None
    told: OrdStatus | None = None
    has_worked: bool = False
    rejection: str = ""
    note: str = ""
    replaced_as: str = ""
    wanted: Any = None
    raw: dict[str, list[str]] = field(default_factory=dict)

    @property
    def client_order_id(self) -> str:
        """The label that the order carries; "" for orders placed by hand."""
        return self.order.orderRef if self.order is not None else ""

    @property
    def terms(self) -> dict[str, Any]:
        """What the order is, in our words."""
        return parsing.order_terms(self.contract, self.order) if self.order is not None else {}

    @property
    def status(self) -> tuple[OrdStatus, str]:
        """How it stands, with the text beside it: what "Inactive" means depends on what else was said."""
        if self.word == "Inactive" and self.rejection:
            return OrdStatus.REJECTED, self.rejection
        if self.word == "Inactive" and self.terms.get("time_in_force") == TimeInForce.FOK:
            return OrdStatus.CANCELED, "not filled at once"
        status, text = parsing.status_of(self.word)
        if status == OrdStatus.NEW and self.filled:
            status = OrdStatus.PARTIALLY_FILLED
        return status, text or self.note

    @property
    def told_as(self) -> OrdStatus:
        """How it stands, but for what its executions tell."""
        status = self.status[0]
        return OrdStatus.NEW if status == OrdStatus.PARTIALLY_FILLED else status

    @property
    def is_replaced(self) -> bool:
        """Whether the change that was asked last is done: the order was shown with its values, and works or filled."""
        shown = bool(self.replaced_as) and orders.is_as_asked(self.wanted, self.order)
        return shown and self.word in parsing.CHANGED

    def stands(self, word: str, at: datetime) -> None:
        """Take over a status; one that works again was not rejected by what was said before."""
        self.word, self.at = word or self.word, at
        if word in parsing.WORKING:
            self.has_worked, self.rejection = True, ""

    def report(self, exec_type: ExecType = ExecType.ORDER_STATUS, **values: Any) -> ExecutionReport:
        """Tell how it stands."""
        status, text = self.status
        over = status in (OrdStatus.FILLED, OrdStatus.CANCELED, OrdStatus.REJECTED)
        facts = {
            "exec_type": exec_type,
            "broker_order_id": str(self.perm_id),
            "client_order_id": self.client_order_id,
            "transact_time": self.at,
            "status": status,
            "cum_qty": self.filled,
            "leaves_qty": Decimal(0) if over else self.remaining,
            "avg_px": self.avg_px,
            "text": text,
            "raw": dict(self.raw),
        }
        return ExecutionReport(**(facts | self.terms | values))


class OrderTracker:
    """Folds messages; `tell` gets facts, `read_again` the permId of an order whose state a message left in doubt.

    `awaited` are the order ids whose sender is waiting for the answer: it decides on refusals, not we.
    """

    def __init__(
        self,
        settings: IBSettings,
        *,
        tell: Callable[[ExecutionReport], None],
        read_again: Callable[[int], None],
        later: Callable[..., Any],
        awaited: Container[int] = (),
    ):
        self._settings, self._tell, self._read_again = settings, tell, read_again
        self._later, self._awaited = later, awaited
        self._orders: Recent[int, KnownOrder] = Recent(ORDERS_KEPT)
        self._perm_ids: Recent[tuple[int, int], int] = Recent(IDS_KEPT)
        self._sent: Recent[int, str] = Recent(IDS_KEPT)
        self.trades = TradeBook(settings, tell=tell, later=later, order_of=self._orders.get)

    def sent(self, order_id: int, client_order_id: str) -> None:
        """Remember whose order goes out under an id, until TWS names it."""
        self._sent[order_id] = client_order_id

    def known(self, perm_id: int) -> KnownOrder | None:
        """What was heard of an order."""
        return self._orders.get(perm_id)

    def own(self, order_id: int) -> KnownOrder | None:
        """What was heard of an order of our own client id."""
        return self._orders.get(self._perm_ids.get((self._settings.client_id, order_id)))

    def take(self, message: Any) -> None:
        """Fold a message in."""
        if isinstance(message, OpenOrder):
            self._take_order(message)
        elif isinstance(message, OrderStatus):
            self._take_status(message)
        elif isinstance(message, Notice):
            self._take_notice(message)
        elif isinstance(message, Trade):
            self.trades.take(message)
        elif isinstance(message, Commission):
            self.trades.take_commission(message)

    def as_they_stand(self, listed: Iterable[OpenOrder]) -> list[KnownOrder]:
        """Give the account's orders of a list that TWS sent, each once, by what was heard last; not those that ended
        meanwhile."""
        perm_ids = dict.fromkeys(message.order.permId for message in listed)
        known = [found for found in map(self._orders.get, perm_ids) if found]
        return [one for one in known if one.word not in parsing.CLOSED]

    def expect_change(self, known: KnownOrder, client_order_id: str, wanted: Any) -> None:
        """Once the order shows the values that are wanted, take that for what this request asked."""
        known.replaced_as, known.wanted = client_order_id, wanted

    def _take_order(self, message: OpenOrder) -> None:
        order = message.order
        if not order.permId or order.account not in ("", self._settings.account_id):
            return
        known = self._orders.get(order.permId) or KnownOrder(order.permId, order.clientId, order.orderId, message.at)
        before = _values(known)
        known.client_id, known.order_id = order.clientId, order.orderId
        known.contract, known.order, known.note = message.contract, order, message.warning or known.note
        known.stands(message.status, message.at)
        known.raw["openOrder"] = list(message.fields)
        self._keep(known)
        if known.word != "Filled":  # the status that follows says how much, and at which price
            self._tell_status(known)
        self._tell_change(known, before)

    def _take_status(self, message: OrderStatus) -> None:
        perm_id = message.perm_id or self._perm_ids.get((message.client_id, message.order_id))
        if not perm_id:
            return
        known = self._orders.get(perm_id)
        if known is None:
            known = KnownOrder(perm_id, message.client_id, message.order_id, message.at)
            self._keep(known)
        known.stands(message.status, message.at)
        known.filled, known.remaining = parsing.number(message.filled), parsing.optional(message.remaining)
        known.avg_px = parsing.positive(message.avg_px)
        known.raw["orderStatus"] = list(message.fields)
        self._tell_status(known)
        self._tell_replaced(known)

    def _keep(self, known: KnownOrder) -> None:
        self._orders[known.perm_id] = known
        if known.order_id > 0:
            self._perm_ids[known.client_id, known.order_id] = known.perm_id

    def _tell_status(self, known: KnownOrder) -> None:
        """Tell a status that was not told yet; how much has filled is told by the executions."""
        if not known.word:
            return
        status = known.told_as
        if status == known.told:
            return
        if status == OrdStatus.SUSPENDED:
            self._later(INACTIVE_GRACE, self._tell_inactive, known)
            return
        known.told = status
        self._tell(known.report(ExecType.ORDER_STATUS if status == OrdStatus.FILLED else parsing.EXEC_TYPE[status]))

    def _tell_inactive(self, known: KnownOrder) -> None:
        """Tell that an order does not work for now, when nothing has come that says why."""
        if known.told_as == OrdStatus.SUSPENDED != known.told:
            known.told = OrdStatus.SUSPENDED
            self._tell(known.report(ExecType.SUSPENDED))

    def _tell_change(self, known: KnownOrder, before: tuple | None) -> None:
        """Tell that the order's values have changed: as our request asked, or by somebody's hand."""
        if before is None or before == _values(known):
            return
        if known.replaced_as and orders.is_as_asked(known.wanted, known.order):
            self._tell_replaced(known)
        else:
            self._tell(known.report(ExecType.RESTATED, text="changed at the broker"))

    def _tell_replaced(self, known: KnownOrder) -> None:
        """A change that was asked is done once the order shows it and works or filled; nobody may be waiting for it.

        A message that only says that the order works proves nothing: what was asked may never have reached TWS.
        """
        if known.order_id not in self._awaited and known.is_replaced:
            self._tell(known.report(ExecType.REPLACED, client_order_id=known.replaced_as))
            known.replaced_as = ""

    def _take_notice(self, notice: Notice) -> None:
        if notice.about <= 0:
            return
        known, text = self.own(notice.about), f"{notice.code}: {notice.text}"
        if known is None:
            self._take_refusal(notice, text)
        elif notice.code == codes.CANCELLED:
            self._take_cancelled(known, notice)
        elif notice.code == codes.REJECTED and not known.has_worked:
            known.rejection, known.word, known.at = text, "Inactive", notice.at
            self._tell_status(known)
        elif notice.code == codes.REJECTED and known.word == "Inactive":
            known.rejection, known.at = text, notice.at
            self._tell_status(known)
        elif notice.about not in self._awaited and notice.code in codes.REFUSALS | codes.DOUBTS:
            self._read_again(known.perm_id)
        else:
            known.note, known.rejection = text, text if notice.code == codes.REJECTED else known.rejection

    def _take_refusal(self, notice: Notice, text: str) -> None:
        """An order of ours that TWS never named: refused, after its sender had given up waiting."""
        client_order_id = self._sent.get(notice.about)
        if client_order_id is None or notice.about in self._awaited or notice.code not in codes.REFUSALS_OF_NEW:
            return
        refused = ExecutionReport(
            exec_type=ExecType.REJECTED,
            broker_order_id="",
            client_order_id=client_order_id,
            transact_time=notice.at,
            status=OrdStatus.REJECTED,
            text=text,
            raw={"error": list(notice.fields)},
        )
        if notice.code not in codes.NOT_NOW:
            self._tell(refused)

    def _take_cancelled(self, known: KnownOrder, notice: Notice) -> None:
        """Take 202 for the status where that did not come before it."""
        if known.word not in parsing.CLOSED:
            known.word, known.at, known.note = "Cancelled", notice.at, f"{notice.code}: {notice.text}"
            self._tell_status(known)


def _values(known: KnownOrder) -> tuple | None:
    """What a change changes; None while the order was not seen."""
    terms = known.terms
    return (terms["order_qty"], terms["price"], terms["stop_px"]) if terms else None
