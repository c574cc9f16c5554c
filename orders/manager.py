"""The desk for scripts and notebooks: a thin facade over the stage functions, sync and async.

    desk = MultiBrokerManager()
    desk.connect_all_brokers()
    order = desk.place_order_smart("IBM", 10, side="buy")

Django must be set up (`manage.py shell`, or `django.setup()`). Behind every method is the function
that API, admin and commands use too. Each has an `a…` twin for asyncio
(`await desk.aplace_order_smart(…)`), which runs it in a thread.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from asgiref.sync import sync_to_async

from brokers.gateway import visiting
from brokers.messages import BrokerError
from brokers.models import BrokerAccount
from orders import holdings
from orders.intake import submit_order
from orders.models import Order, RebalancePlan
from orders.rebalancing import plans
from orders.rebalancing.drafting import Draft
from orders.sync_now import sync_now
from orders.ticket import parse_ticket
from risk import exposure, gate
from risk.models import ExposureTotal
from risk.portfolio.assessment import DEFAULT_TAIL, assess
from risk.portfolio.words import PortfolioReport, ProposedTrade
from risk.rulebook import current_rulebook
from risk.rules import Denial


@dataclass(frozen=True, slots=True)
class PortfolioRisk:
    """The portfolio against its limits: `allowed` is False when any is passed, `violations` say which."""

    allowed: bool
    violations: list[Denial]
    gross_exposure: Decimal
    total_value: Decimal
    broker_shares: dict[str, Decimal]


class MultiBrokerManager:
    """One desk over all brokers. `actor` is who the audit trail names."""

    def __init__(self, actor: str = "system:manager"):
        self.actor = actor

    def connect_all_brokers(self) -> dict[str, bool]:
        """Reach every enabled account and read it in full; which answered."""
        return {account.broker_name: self._connect(account) for account in BrokerAccount.objects.filter(enabled=True)}

    def place_order_smart(
        self,
        symbol: str,
        quantity: Decimal | int | str,
        broker_preference: str | None = None,
        *,
        side: str,
        **fields: Any,
    ) -> Order:
        """Submit an order; the router picks the account unless one is named. A denied order is returned, not raised.

        `fields` are those of the API's order body (`ord_type`, `price`, `time_in_force`, `strategy`, …);
        floats are read as they print.

        Raises:
            InvalidInput: a field is wrong; Conflict: the client_order_id is taken.
        """
        body = {"symbol": symbol, "order_qty": quantity, "side": side, "broker_name": broker_preference, **fields}
        ticket = parse_ticket({name: _exact(value) for name, value in body.items() if value is not None})
        return submit_order(ticket=ticket, actor=self.actor, source=Order.Source.MANAGER).order

    def get_consolidated_positions(self) -> list[dict]:
        """One row a symbol over all accounts (`orders.holdings.consolidated_positions`)."""
        return holdings.consolidated_positions()

    def get_positions_by_broker(self) -> dict[str, dict[str, Decimal]]:
        """Signed quantity held, by account and symbol."""
        return holdings.positions_by_broker()

    def get_total_portfolio_value(self) -> Decimal:
        """Portfolio value over all enabled accounts."""
        return holdings.total_portfolio_value()

    def get_broker_allocations(self) -> dict[str, Decimal]:
        """Each enabled account's share of the portfolio's value, 0 to 1."""
        return holdings.broker_allocations()

    def check_portfolio_risk(self) -> PortfolioRisk:
        """Hold what is held and entered now against the limits in force."""
        accounts = list(BrokerAccount.objects.filter(enabled=True).values_list("pk", flat=True))
        keys = [exposure.account_key(name) for name in accounts]
        gross = dict(ExposureTotal.objects.filter(key__in=keys).values_list("broker_name", "gross"))
        total = holdings.total_portfolio_value()
        by_account = {name: gross.get(name, Decimal(0)) for name in accounts}
        violations = list(gate.portfolio_denials(by_account, total, current_rulebook()))
        return PortfolioRisk(
            allowed=not violations,
            violations=violations,
            gross_exposure=sum(by_account.values(), Decimal(0)),
            total_value=total,
            broker_shares={name: gate.share_of(value, total) for name, value in by_account.items()} if total else {},
        )

    def measure_portfolio_risk(
        self, *, tail: Decimal = DEFAULT_TAIL, trade: ProposedTrade | None = None
    ) -> PortfolioReport:
        """VaR, expected shortfall, contributions, concentration and what a broker's failure costs (see `assess`)."""
        return assess(tail=tail, trade=trade)

    def preview_rebalancing(self) -> Draft:
        """The orders that would bring every account within its limits and its share, with costs; stores nothing."""
        return plans.preview()

    def rebalance_allocations(self, *, reason: str = "asked for by the manager") -> RebalancePlan:
        """Propose the orders that bring the book back over the brokers; somebody else than `actor` approves them.

        Raises:
            Conflict: such a plan is open already, orders of one are under way, or there is nothing to do.
        """
        return plans.propose(actor=self.actor, reason=reason)

    def approve_rebalancing(self, plan: RebalancePlan, *, reason: str) -> RebalancePlan:
        """Have the orders of a plan placed that somebody else proposed, leaving ones first.

        Raises:
            Conflict: it is not open any more or too old, `actor` proposed it, or it has no orders.
        """
        return plans.approve(plan=plan, actor=self.actor, reason=reason)

    async def aconnect_all_brokers(self) -> dict[str, bool]:
        """See `connect_all_brokers`."""
        return await sync_to_async(self.connect_all_brokers)()

    async def aplace_order_smart(
        self,
        symbol: str,
        quantity: Decimal | int | str,
        broker_preference: str | None = None,
        *,
        side: str,
        **fields: Any,
    ) -> Order:
        """See `place_order_smart`."""
        return await sync_to_async(self.place_order_smart)(symbol, quantity, broker_preference, side=side, **fields)

    async def aget_consolidated_positions(self) -> list[dict]:
        """See `get_consolidated_positions`."""
        return await sync_to_async(self.get_consolidated_positions)()

    async def aget_positions_by_broker(self) -> dict[str, dict[str, Decimal]]:
        """See `get_positions_by_broker`."""
        return await sync_to_async(self.get_positions_by_broker)()

    async def aget_total_portfolio_value(self) -> Decimal:
        """See `get_total_portfolio_value`."""
        return await sync_to_async(self.get_total_portfolio_value)()

    async def aget_broker_allocations(self) -> dict[str, Decimal]:
        """See `get_broker_allocations`."""
        return await sync_to_async(self.get_broker_allocations)()

    async def acheck_portfolio_risk(self) -> PortfolioRisk:
        """See `check_portfolio_risk`."""
        return await sync_to_async(self.check_portfolio_risk)()

    async def ameasure_portfolio_risk(
        self, *, tail: Decimal = DEFAULT_TAIL, trade: ProposedTrade | None = None
    ) -> PortfolioReport:
        """See `measure_portfolio_risk`."""
        return await sync_to_async(self.measure_portfolio_risk)(tail=tail, trade=trade)

    async def apreview_rebalancing(self) -> Draft:
        """See `preview_rebalancing`."""
        return await sync_to_async(self.preview_rebalancing)()

    async def arebalance_allocations(self, *, reason: str = "asked for by the manager") -> RebalancePlan:
        """See `rebalance_allocations`."""
        return await sync_to_async(self.rebalance_allocations)(reason=reason)

    async def aapprove_rebalancing(self, plan: RebalancePlan, *, reason: str) -> RebalancePlan:
        """See `approve_rebalancing`."""
        return await sync_to_async(self.approve_rebalancing)(plan, reason=reason)

    def _connect(self, account: BrokerAccount) -> bool:
        try:
            with visiting(account) as gateway:
                gateway.account()
        except (BrokerError, LookupError, ValueError):
            return False
        return sync_now(account.broker_name)


def _exact(value: Any) -> Any:
    """A float as it prints, also inside an exit."""
    if isinstance(value, dict):
        return {name: _exact(part) for name, part in value.items()}
    return str(value) if isinstance(value, float) else value
