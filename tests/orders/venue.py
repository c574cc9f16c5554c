"""A broker account whose answers a test writes, for tests of the comparison with it."""

from dataclasses import dataclass, field
from decimal import Decimal

from django.utils import timezone

from brokers.messages import AccountState, OutcomeUnknown, PositionState
from brokers.models import BrokerAccount
from orders.models import Order, ReconciliationBreak, ReconciliationRun
from orders.reconcile.run import reconcile_account
from tests.orders.desk import Counterparty, submit
from tests.orders.facts import at
from tradingdesk.audit.models import AuditEvent
from tradingdesk.fix import ExecType, OrdStatus


@dataclass
class Venue:
    """A broker account whose answers are what a test puts here; `fails` names what it does not answer."""

    cash: Decimal = Decimal(1_000_000)
    holdings: dict = field(default_factory=dict)
    working: list = field(default_factory=list)
    known: dict = field(default_factory=dict)
    trades: list = field(default_factory=list)
    fails: set = field(default_factory=set)

    def executions(self, *, after=None, after_id=""):
        return self._answer("executions", self.trades)

    def open_orders(self):
        return self._answer("orders", self.working)

    def read_order(self, broker_order_id):
        return self._answer("order", self.known.get(broker_order_id))

    def positions(self):
        rows = [PositionState(symbol, Decimal(qty), Decimal(px)) for symbol, (qty, px) in self.holdings.items()]
        return self._answer("positions", rows)

    def account(self):
        figures = dict.fromkeys(("equity", "portfolio_value", "buying_power"), Decimal(1_000_000))
        return self._answer("account", AccountState("PA1", "USD", self.cash, as_of=timezone.now(), **figures))

    def _answer(self, what, answer):
        if what in self.fails:
            raise OutcomeUnknown(f"no answer about {what}")
        return answer


def twice() -> ReconciliationRun:
    reconcile_account("alpaca")
    return reconcile_account("alpaca")


def transfer(venue: Venue, **holdings) -> ReconciliationBreak:
    """Shares come in that no trade explains, and two runs see them."""
    venue.holdings |= holdings or {"IBM": (50, 180)}
    twice()
    return ReconciliationBreak.objects.latest("id")


def unreconciled() -> str:
    return BrokerAccount.objects.get(pk="alpaca").unreconciled


def events() -> list[tuple[str, str]]:
    rows = AuditEvent.objects.filter(kind__startswith="reconcile.").order_by("id")
    return [(row.kind, row.actor) for row in rows]


def working(venue: Venue, **facts) -> Counterparty:
    """An order of the desk's that works at the venue."""
    broker = Counterparty(submit(broker_name="alpaca"))
    broker.acknowledge()
    Order.objects.filter(pk=broker.pk).update(acknowledged_at=at(1))
    venue.working.append(broker.report(ExecType.ORDER_STATUS, status=OrdStatus.NEW, **facts))
    return broker
