"""What the desk holds over all brokers: reads only."""

from decimal import Decimal

from brokers.models import BrokerAccount
from orders.models import Position
from risk.fx import sum_or_unknown, worth
from tradingdesk.fields import fit


def positions_by_broker(symbol: str = "") -> dict[str, dict[str, Decimal]]:
    """Signed quantity held, by account and symbol."""
    held: dict[str, dict[str, Decimal]] = {name: {} for name in BrokerAccount.objects.values_list("pk", flat=True)}
    open_rows = Position.objects.filter(closed_at=None)
    for row in open_rows.filter(symbol=symbol) if symbol else open_rows:
        held[row.account_id][row.symbol] = row.qty
    return {name: symbols for name, symbols in held.items() if symbols}


def consolidated_positions() -> list[dict]:
    """One row a symbol over all accounts: quantity, average price of what is held, and each account's part."""
    rows: dict[str, dict] = {}
    for position in Position.objects.filter(closed_at=None).order_by("symbol", "account_id"):
        row = rows.setdefault(
            position.symbol, {"symbol": position.symbol, "qty": Decimal(0), "cost": Decimal(0), "brokers": {}}
        )
        row["qty"] += position.qty
        row["cost"] += position.qty * position.avg_px
        row["brokers"][position.account_id] = position.qty
    for row in rows.values():
        cost = row.pop("cost")
        row["avg_px"] = fit(cost / row["qty"]) if row["qty"] else None
    return list(rows.values())


def total_portfolio_value() -> Decimal:
    """Portfolio value over all enabled accounts, by the brokers' own figures, in the base currency.

    0, which is not known, while an account is in a currency without an exchange rate.
    """
    return sum_or_unknown(values_by_broker().values())


def values_by_broker(figure: str = "portfolio_value") -> dict[str, Decimal | None]:
    """Each enabled account's figure in the base currency; None where its currency has no exchange rate."""
    return worth(list(BrokerAccount.objects.filter(enabled=True)), figure)


def broker_allocations() -> dict[str, Decimal]:
    """Each enabled account's share of the portfolio's value, 0 to 1; empty while nothing is known."""
    values = values_by_broker()
    total = sum_or_unknown(values.values())
    return {name: fit(value / total, 6) for name, value in values.items()} if total else {}
