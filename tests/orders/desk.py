"""A desk with room to trade, and brokers' reports about its orders, as the stage tests need them."""

from decimal import Decimal

from brokers.messages import CancelRejected, ExecutionReport
from brokers.models import BrokerAccount
from orders.executions import apply_cancel_rejected, apply_report
from orders.intake import Submission, submit_order
from orders.models import Execution, Order, OrderRequest
from orders.ticket import parse_ticket
from risk.models import Control
from tests.factories import trading_desk
from tests.orders.facts import at
from tradingdesk.fix import ExecType, OrdStatus, RequestKind, RequestState

NUMBERS = {"order_qty", "cum_qty", "last_qty", "last_px", "price", "stop_px", "commission"}
LIMIT_BUY = {"symbol": "IBM", "side": "buy", "order_qty": "100", "ord_type": "limit", "price": "182.40"}


def roomy_desk(*broker_names: str) -> list[BrokerAccount]:
    """A desk whose limits, also those on a quote's age, are out of the way of orders of some ten thousand shares."""
    room = {
        Control.MAX_ORDER_QTY: Decimal(10**6),
        Control.MAX_ORDER_NOTIONAL: Decimal(10**9),
        Control.PORTFOLIO_RISK_LIMIT: Decimal(10**9),
        Control.MAX_BROKER_ALLOCATION: Decimal(1),
        Control.MAX_QUOTE_AGE: Decimal(86_400),
        Control.MAX_QUOTE_LAG: Decimal(86_400),
    }
    accounts = trading_desk(*broker_names, limits=room)
    BrokerAccount.objects.update(portfolio_value=10**9, equity=10**9, cash=10**9, buying_power=10**9)
    return accounts


def submission(*, actor: str = "ann", **body) -> Submission:
    """Submit a limit order to buy 100 IBM, or what `body` says instead; the whole answer."""
    merged = {name: value for name, value in (LIMIT_BUY | body).items() if value is not None}
    return submit_order(ticket=parse_ticket(merged), actor=actor)


def submit(**body) -> Order:
    """Submit likewise; the order as it is stored."""
    return submission(actor="tester", **body).order


def sent(order: Order) -> OrderRequest:
    """Note that the order's first request is on its way, as the worker does before it talks."""
    request = order.requests.get(kind=RequestKind.NEW)
    request.state, request.holder, request.sent_at = RequestState.SENDING, "test", at(0)
    request.save()
    return request


class Counterparty:
    """The broker's side of one order: tells the desk about it, with ids and a clock of its own."""

    def __init__(self, order: Order, broker_order_id: str = ""):
        self.account = BrokerAccount.objects.get(pk=order.account_id)
        self.client_order_id = order.client_order_id
        self.broker_order_id = broker_order_id or f"B-{order.client_order_id}"
        self.pk, self.side, self.seconds = order.pk, order.side, 0

    @property
    def order(self) -> Order:
        """The desk's row as it is now."""
        return Order.objects.get(pk=self.pk)

    def report(self, exec_type: ExecType, *, seconds: float | None = None, **facts) -> ExecutionReport:
        """Make a report, each a second after the one before unless told otherwise."""
        self.seconds += 1
        facts = {"client_order_id": self.client_order_id, "broker_order_id": self.broker_order_id} | facts
        facts = {name: Decimal(str(fact)) if name in NUMBERS else fact for name, fact in facts.items()}
        return ExecutionReport(
            exec_type=exec_type, transact_time=at(self.seconds if seconds is None else seconds), **facts
        )

    def hear(self, fact: ExecutionReport | CancelRejected) -> Execution | None:
        """Let the desk have a report or a refusal."""
        if isinstance(fact, CancelRejected):
            return apply_cancel_rejected(account=self.account, rejected=fact)
        return apply_report(account=self.account, report=fact)

    def tell(self, exec_type: ExecType, **facts) -> Execution | None:
        """Report a state of the order."""
        return self.hear(self.report(exec_type, **facts))

    def acknowledge(self, **facts) -> Order:
        """Report the order as new."""
        self.tell(ExecType.NEW, status=OrdStatus.NEW, **facts)
        return self.order

    def fill(self, exec_id: str, qty, px=100, **facts) -> Execution | None:
        """Report a trade."""
        return self.tell(ExecType.TRADE, exec_id=exec_id, last_qty=qty, last_px=px, **facts)

    def bust(self, exec_id: str, ref: str, **facts) -> Execution | None:
        """Report that a trade is void."""
        return self.tell(ExecType.TRADE_CANCEL, exec_id=exec_id, exec_ref_id=ref, **facts)

    def correct(self, exec_id: str, ref: str, qty, px=100, **facts) -> Execution | None:
        """Report what a trade should have been."""
        return self.tell(ExecType.TRADE_CORRECT, exec_id=exec_id, exec_ref_id=ref, last_qty=qty, last_px=px, **facts)

    def refuse(self, request: OrderRequest | None, status: OrdStatus | None = None, *, text: str = "") -> None:
        """Refuse a cancel or replace."""
        self.seconds += 1
        rejected = CancelRejected(
            response_to=RequestKind(request.kind) if request else RequestKind.CANCEL,
            broker_order_id=self.broker_order_id,
            transact_time=at(self.seconds),
            client_order_id=request.client_order_id if request else "",
            orig_client_order_id=self.client_order_id,
            status=status,
            text=text,
        )
        self.hear(rejected)
