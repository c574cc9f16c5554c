"""The portfolio over all accounts: reads only, from the brokers' own figures and the desk's totals."""

from decimal import Decimal
from typing import Any

from django.conf import settings

from brokers.models import BrokerAccount
from orders.holdings import broker_allocations, total_portfolio_value, values_by_broker
from orders.models import Order, Position
from risk.exposure import account_key
from risk.fx import rates_in_force, sum_or_unknown
from risk.models import ExposureTotal


def portfolio() -> dict[str, Any]:
    """Add up every account, in the base currency; disabled ones are listed, in their own, and do not count.

    Brokers give their figures at different moments: each account's `as_of`.
    """
    accounts = list(BrokerAccount.objects.all())
    gross, shares = _gross_by_account(accounts), broker_allocations()
    counting = [account for account in accounts if account.enabled]
    currencies = {account.currency for account in counting}
    return {
        "base_currency": settings.DESK_BASE_CURRENCY,
        "without_rate": sorted(currencies - rates_in_force(currencies).keys()),
        "total_value": total_portfolio_value(),
        "cash": sum_or_unknown(values_by_broker("cash").values()),
        "gross_exposure": sum((gross[account.broker_name] for account in counting), Decimal(0)),
        "open_positions": Position.objects.filter(closed_at=None).count(),
        "open_orders": Order.objects.open().count(),
        "accounts": [_part(a, gross[a.broker_name], shares.get(a.broker_name)) for a in accounts],
    }


def _gross_by_account(accounts: list[BrokerAccount]) -> dict[str, Decimal]:
    totals = ExposureTotal.objects.in_bulk([account_key(account.broker_name) for account in accounts])
    rows = {account.broker_name: totals.get(account_key(account.broker_name)) for account in accounts}
    return {name: row.gross if row else Decimal(0) for name, row in rows.items()}


def _part(account: BrokerAccount, gross: Decimal, share: Decimal | None) -> dict[str, Any]:
    return {
        "broker_name": account.broker_name,
        "enabled": account.enabled,
        "portfolio_value": account.portfolio_value,
        "cash": account.cash,
        "buying_power": account.buying_power,
        "gross_exposure": gross,
        "share": share,
        "target_share": account.allocation_percent,
        "as_of": account.last_updated,
    }
