"""Rows for tests: each factory makes one sound row, `trading_desk()` a desk that takes orders."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType

import factory
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.db.migrations import RunPython
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone
from factory.django import DjangoModelFactory

from brokers.models import BrokerAccount, DailyBar, Instrument, Listing, Quote
from orders.models import Approval, Execution, Order, OrderRequest, Position, TradeLog
from risk.limits import LimitValue, set_limits
from risk.models import Control
from risk.rules import Denial
from tradingdesk.fix import ExecType, OrdStatus, OrdType, RequestKind, Side, TimeInForce, WorkingAs

OPENING = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


class BrokerAccountFactory(DjangoModelFactory):
    class Meta:
        model = BrokerAccount
        django_get_or_create = ("broker_name",)

    broker_name = "alpaca"
    adapter = "alpaca"
    allocation_percent = Decimal("0.5")
    settings = factory.Dict({"api_key": "${ALPACA_API_KEY}", "secret_key": "${ALPACA_SECRET_KEY}"})
    account_id = factory.Sequence(lambda n: f"PA{n:06}")
    portfolio_value = equity = cash = Decimal(1_000_000)
    buying_power = Decimal(2_000_000)
    shorting_enabled = True
    status = BrokerAccount.Status.ACTIVE
    last_updated = factory.LazyFunction(timezone.now)


class InstrumentFactory(DjangoModelFactory):
    class Meta:
        model = Instrument
        django_get_or_create = ("symbol",)

    symbol = "IBM"
    name = factory.LazyAttribute(lambda row: f"{row.symbol} common stock")


class ListingFactory(DjangoModelFactory):
    class Meta:
        model = Listing
        django_get_or_create = ("account", "instrument")

    account = factory.SubFactory(BrokerAccountFactory)
    instrument = factory.SubFactory(InstrumentFactory)
    broker_symbol = factory.SelfAttribute("instrument.symbol")
    fractionable = shortable = marginable = True


class DailyBarFactory(DjangoModelFactory):
    class Meta:
        model = DailyBar

    listing = factory.SubFactory(ListingFactory)
    day = factory.LazyFunction(lambda: timezone.now().date() - timedelta(days=1))
    open_px = high_px = low_px = close_px = Decimal("182.45")
    volume = Decimal(1000)
    feed = "iex"
    received_at = factory.LazyFunction(timezone.now)


class QuoteFactory(DjangoModelFactory):
    """A quote of this moment: 182.44 / 182.46."""

    class Meta:
        model = Quote
        django_get_or_create = ("listing",)

    listing = factory.SubFactory(ListingFactory)
    bid_px, bid_size = Decimal("182.44"), Decimal(300)
    ask_px, ask_size = Decimal("182.46"), Decimal(500)
    quote_time = factory.LazyFunction(timezone.now)
    received_at = factory.LazyFunction(timezone.now)


class OrderFactory(DjangoModelFactory):
    """A limit order that works at its broker."""

    class Meta:
        model = Order

    client_order_id = factory.Sequence(lambda n: f"order-{n}")
    account = factory.SubFactory(BrokerAccountFactory)
    broker_order_id = factory.Sequence(lambda n: f"broker-order-{n}")
    instrument = factory.SubFactory(InstrumentFactory)
    symbol = factory.SelfAttribute("instrument.symbol")
    side = Side.BUY
    order_qty = Decimal(100)
    ord_type = OrdType.LIMIT
    price = Decimal("182.40")
    time_in_force = TimeInForce.DAY
    status = OrdStatus.NEW
    working_as = WorkingAs.NEW
    working_at = created_at = received_at = factory.Sequence(lambda n: OPENING + timedelta(milliseconds=n))


class OrderRequestFactory(DjangoModelFactory):
    """A request that waits for its worker."""

    class Meta:
        model = OrderRequest

    order = factory.SubFactory(OrderFactory)
    broker_name = factory.SelfAttribute("order.account_id")
    kind = RequestKind.NEW
    client_order_id = factory.SelfAttribute("order.client_order_id")


class ApprovalFactory(DjangoModelFactory):
    """A wait for a second person."""

    class Meta:
        model = Approval

    order = factory.SubFactory(OrderFactory)
    breaks = [Denial("QUANTITY_EXCEEDS_MAXIMUM", "order_qty=101, max=100", "order_qty", "101", "100").as_dict()]
    asked_by = "someone"
    expires_at = factory.LazyFunction(lambda: timezone.now() + timedelta(minutes=15))


class ExecutionFactory(DjangoModelFactory):
    class Meta:
        model = Execution

    order = factory.SubFactory(OrderFactory)
    account = factory.SelfAttribute("order.account")
    instrument = factory.SelfAttribute("order.instrument")
    symbol = factory.SelfAttribute("order.symbol")
    side = factory.SelfAttribute("order.side")
    exec_id = factory.Sequence(lambda n: f"exec-{n}")
    exec_type = ExecType.TRADE
    last_qty = Decimal(10)
    last_px = Decimal("182.45")
    broker_order_id = factory.SelfAttribute("order.broker_order_id")
    transact_time = factory.Sequence(lambda n: OPENING + timedelta(milliseconds=n))
    raw = factory.LazyAttribute(lambda row: {"id": row.exec_id})


class PositionFactory(DjangoModelFactory):
    class Meta:
        model = Position

    account = factory.SubFactory(BrokerAccountFactory)
    instrument = factory.SubFactory(InstrumentFactory)
    symbol = factory.SelfAttribute("instrument.symbol")
    qty = Decimal(10)
    avg_px = Decimal("182.45")
    opened_at = last_trade_at = factory.Sequence(lambda n: OPENING + timedelta(milliseconds=n))


class TradeLogFactory(DjangoModelFactory):
    class Meta:
        model = TradeLog

    position = factory.SubFactory(PositionFactory)
    account = factory.SelfAttribute("position.account")
    symbol = factory.SelfAttribute("position.symbol")
    direction = TradeLog.Direction.LONG
    entry_qty = factory.SelfAttribute("position.qty")
    entry_px = factory.SelfAttribute("position.avg_px")
    opened_at = factory.SelfAttribute("position.opened_at")


class UserFactory(DjangoModelFactory):
    class Meta:
        model = User

    username = factory.Sequence(lambda n: f"person-{n}")


def member_of(*groups: str) -> User:
    """A person in these groups (viewer, trader, risk officer, auditor)."""
    user = UserFactory()
    if not Group.objects.exists():
        make_groups()
    user.groups.set(Group.objects.filter(name__in=groups))
    assert user.groups.count() == len(groups), f"no such group among {groups}"
    return user


def make_groups() -> None:
    """Make the groups by their own migrations again, where the end of a transactional test has emptied all tables."""
    migrations = sorted(MigrationLoader(None).disk_migrations.items())
    for operation in [one for (label, _), found in migrations if label == "analytics" for one in found.operations]:
        if isinstance(operation, RunPython):
            operation.code(apps, None)


LIMITS_OF_A_DESK = {
    Control.MAX_ORDER_QTY: Decimal(1_000),
    Control.MAX_ORDER_NOTIONAL: Decimal(500_000),
    Control.PORTFOLIO_RISK_LIMIT: Decimal(5_000_000),
    Control.MAX_BROKER_ALLOCATION: Decimal("0.8"),
}


def trading_desk(
    *broker_names: str,
    symbols: tuple[str, ...] = ("IBM", "BAC"),
    limits: Mapping[Control, Decimal] = MappingProxyType({}),
) -> list[BrokerAccount]:
    """A desk that takes orders: accounts with listings, fresh quotes, and limits, those that are given among them."""
    accounts = [BrokerAccountFactory(broker_name=name) for name in broker_names or ("alpaca", "alpaca_margin")]
    instruments = [InstrumentFactory(symbol=symbol) for symbol in symbols]
    listed = set(Listing.objects.values_list("account_id", "instrument_id"))
    listings = Listing.objects.bulk_create(
        ListingFactory.build(account=account, instrument=instrument)
        for account in accounts
        for instrument in instruments
        if (account.pk, instrument.pk) not in listed
    )
    Quote.objects.bulk_create(QuoteFactory.build(listing=listing) for listing in listings)
    values = [LimitValue(control, value) for control, value in (LIMITS_OF_A_DESK | limits).items()]
    set_limits(values, actor="system:config", reason="test desk")
    return accounts
