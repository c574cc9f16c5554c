"""What a legacy row becomes: functions of one row, no database, no clock.

Each function takes the row's `Reader` and gives the new row's columns; references to other legacy rows are still their
ids there. It raises `Unmappable` where no rule applies. Beside the rules for single values (`values`) there are these:

    FILLED_WHOLE            a filled order without a filled quantity traded its whole quantity
    TRADED_AT_FROM_ORDER    a trade without a time happened when its order was cancelled, submitted or created
    CLOSED_AT_FROM_ORDER    a closed order without a closing time closed when it traded, was submitted or was created
    DIRECTION_FROM_PNL      a trade log without its position is long if its profit has the sign of exit minus entry

What cannot be true is quarantined: a filled order without a price (FILLED_WITHOUT_PRICE) or with less than its quantity
(FILLED_IN_PART), a closed position without a closing time (CLOSED_WITHOUT_TIME), quantities that are not positive.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from orders.migrate import values
from orders.migrate.configuration import without_secrets
from orders.migrate.values import Reader, Unmappable, readable
from orders.round_trips import LEGACY_EXEC_ID
from tradingdesk.fields import MONEY_PLACES, fit, plain

ZERO = Decimal(0)
EXECUTION = "_execution"


def order(read: Reader) -> dict[str, Any]:
    """An order; what traded of it is one execution (`EXECUTION`)."""
    qty = read.positive("quantity")
    status = read.word("status", values.ORDER_STATUSES)
    created = read.needed_time("created_at")
    submitted, filled, cancelled = (read.time(name) for name in ("submitted_at", "filled_at", "cancelled_at"))
    cum_qty, avg_px = _traded(read, status, qty)
    broker_order_id = read.text("broker_order_id", 64).strip() or None
    columns = {
        "symbol": read.symbol(),
        "side": read.word("side", values.SIDES),
        "order_qty": qty,
        "ord_type": read.word("order_type", values.ORDER_TYPES),
        "price": _price(read, "price"),
        "stop_px": _price(read, "stop_price"),
        "time_in_force": read.word("time_in_force", values.TIMES_IN_FORCE, default="day"),
        "broker_order_id": broker_order_id,
        "signal_id": read.reference("signal_id"),
        "status": _status(status, qty, cum_qty),
        "working_as": "new" if status in ("new", "filled") else None,
        "closed_as": status if status in ("canceled", "rejected", "expired") else None,
        "cum_qty": cum_qty,
        "avg_px": avg_px,
        "created_at": created,
        "received_at": created,
        "sent_at": submitted,
        "acknowledged_at": (submitted or created) if broker_order_id else None,
        EXECUTION: None,
    }
    if cum_qty:
        columns[EXECUTION] = _execution(read, columns, filled or _traded_at(read, cancelled, submitted, created))
    if status in ("filled", "canceled", "rejected", "expired"):
        columns["closed_at"] = (cancelled if status == "canceled" else filled) or _closed_at(read, columns)
    commission = read.money("commission")
    unplaced = {"commission": plain(commission)} if commission and not cum_qty else {}
    return columns | {"legacy": _kept(read, {"signal_id": columns["signal_id"], **unplaced})}


def position(read: Reader) -> dict[str, Any]:
    """A position. What was held of a closed one is in `legacy`: the desk's are flat then."""
    side = read.word("side", values.DIRECTIONS)
    status = read.word("status", values.POSITION_STATUSES)
    qty, entry_px = read.positive("quantity"), read.positive("avg_entry_price")
    opened, closed = read.needed_time("opened_at"), read.time("closed_at")
    if status == "closed" and closed is None:
        raise Unmappable("CLOSED_WITHOUT_TIME", "status=closed, closed_at is null")
    own = {
        "side": side,
        "status": status,
        "quantity": plain(qty),
        "avg_exit_price": plain(read.number("avg_exit_price")),
        "unrealized_pnl": plain(read.money("unrealized_pnl")),
        "realized_pnl": plain(read.money("realized_pnl")),
        "stop_loss_price": plain(read.number("stop_loss_price")),
        "take_profit_price": plain(read.number("take_profit_price")),
        "entry_order_id": read.reference("entry_order_id"),
        "exit_order_id": read.reference("exit_order_id"),
    }
    held = qty if side == "long" else -qty
    return {
        "symbol": read.symbol(),
        "qty": held if status == "open" else ZERO,
        "avg_px": entry_px,
        "realized_pnl": read.money("realized_pnl") or ZERO,
        "opened_at": opened,
        "closed_at": closed if status == "closed" else None,
        "last_trade_at": (closed or opened) if status == "closed" else opened,
        "historic": status == "closed",
        "legacy": _kept(read, own),
    }


def trade_log(read: Reader) -> dict[str, Any]:
    """A round trip; `direction` is None where only its position tells it."""
    qty, entry_px = read.positive("quantity"), read.positive("entry_price")
    exit_px, closed = read.number("exit_price"), read.time("position_closed_at")
    gross, net = read.money("gross_pnl"), read.money("net_pnl")
    own = {
        "position_id": read.reference("position_id"),
        "signal_generated_at": _iso(read.time("signal_generated_at")),
        "order_placed_at": _iso(read.time("order_placed_at")),
        "holding_period": read.figure("holding_period"),
        "return_percent": read.figure("return_percent"),
        "signal_strength": read.figure("signal_strength"),
        "market_conditions": read.json("market_conditions"),
        "gross_pnl": plain(gross),
        "net_pnl": plain(net),
    }
    return {
        "position_id": own["position_id"],
        "symbol": read.symbol(),
        "strategy": read.text("strategy_name", 64),
        "direction": None,
        "entry_qty": qty,
        "entry_px": entry_px,
        "exit_qty": qty if closed else ZERO,
        "exit_px": exit_px,
        "gross_pnl": gross or ZERO,
        "commission": read.money("commission_paid") or ZERO,
        "net_pnl": net or ZERO,
        "opened_at": read.needed_time("position_opened_at"),
        "closed_at": closed,
        "legacy": _kept(read, own),
    }


def direction_from_pnl(columns: dict[str, Any]) -> str | None:
    """Tell a round trip's direction by arithmetic; None where that does not tell."""
    gain = ((columns["exit_px"] or ZERO) - columns["entry_px"]) * columns["gross_pnl"]
    if columns["exit_px"] is None or not gain:
        return None
    return "long" if gain > 0 else "short"


def signal(read: Reader) -> dict[str, Any]:
    """A signal."""
    return {
        "symbol": read.symbol(),
        "direction": read.text("direction", 16).strip().lower(),
        "confidence_score": read.figure("confidence_score"),
        "strength": read.figure("strength"),
        "generated_at": read.needed_time("generated_at"),
        "price_at_signal": read.not_negative("price_at_signal"),
        "strategy_count": read.count("strategy_count"),
        "contributing_strategies": read.json("contributing_strategies"),
        "status": read.text("status", 20),
        "legacy": _kept(read, {}),
    }


def signal_decision(read: Reader) -> dict[str, Any]:
    """What the risk filter said."""
    figures = ("position_size", "exposure_percent", "portfolio_risk", "sector_exposure", "correlation_risk")
    signal_id = read.reference("signal_id")
    return {
        "signal_id": signal_id,
        "symbol": read.symbol(),
        "decided_at": read.needed_time("filtered_at"),
        "passed": read.flag("passed"),
        "rejection_reason": read.text("rejection_reason"),
        **{name: read.figure(name) for name in figures},
        "legacy": _kept(read, {"signal_id": signal_id}),
    }


def configuration_change(read: Reader) -> dict[str, Any]:
    """A version of the configuration that has only the section it changed."""
    section = read.text("config_section", 50).strip()
    if not section:
        raise Unmappable("VALUE_MISSING", "config_section is empty")
    before, after = (without_secrets(read.json(column), section) for column in ("old_value", "new_value"))
    return {
        "changed_at": read.needed_time("changed_at"),
        "changed_by": read.text("changed_by", 150) or "unknown",
        "source": "legacy database",
        "reason": read.text("reason"),
        "whole": {section: after},
        "diff": [{"path": section, "before": before, "after": after}],
    }


def account_snapshot(read: Reader) -> dict[str, Any]:
    """What the account was worth; other figures of the moment stay under their old names."""
    own = {name: readable(value) for name, value in read.row.items() if name not in _OF_SNAPSHOTS}
    return {
        "taken_at": read.needed_time("recorded_at"),
        "equity": read.money("total_equity"),
        "cash": read.money("available_cash"),
        "daily_pnl": read.money("daily_pnl"),
        "metrics": {name: value for name, value in own.items() if value is not None} | _rules(read),
    }


_OF_SNAPSHOTS = ("id", "recorded_at", "total_equity", "available_cash", "daily_pnl")


@dataclass(frozen=True, slots=True)
class Table:
    """One legacy table, what its rows become, and the figures whose sums are compared, by columns that group them.

    A figure is a column, `legacy__` and a name in that column, or `executions__` and a column of what traded.
    """

    name: str
    target: str
    columns_of: Callable[[Reader], dict[str, Any]]
    grouped_by: tuple[str, ...] = ()
    summed: tuple[str, ...] = ()


TRADED = ("cum_qty", "executions__last_qty", "executions__notional", "executions__commission")
# In the order in which they are moved: what is referred to comes first.
TABLES = (
    Table("signals", "signals", signal, ("symbol",)),
    Table("risk_filter_results", "signal_decisions", signal_decision, ("symbol",)),
    Table("orders", "orders", order, ("symbol", "status"), ("order_qty", *TRADED)),
    Table("positions", "positions", position, ("symbol", "legacy__status"), ("legacy__quantity", "realized_pnl")),
    Table("trade_logs", "trade_logs", trade_log, ("symbol",), ("entry_qty", "commission", "gross_pnl", "net_pnl")),
    Table("configuration_history", "configuration_history", configuration_change),
    Table("system_metrics", "account_snapshots", account_snapshot, (), ("equity", "cash", "daily_pnl")),
)


def figure(columns: dict[str, Any], name: str) -> Any:
    """A figure of a row, as `Table` names it; None where the row has none."""
    found = columns.get(name)
    if found is not None or name in columns:
        return found
    place, _, key = name.partition("__")
    inside = columns[EXECUTION if place == "executions" else place]
    if inside is None or key == "status":
        return inside and inside[key]
    if key == "notional":
        return inside["last_qty"] * inside["last_px"]
    return inside[key] if place == "executions" else Decimal(inside[key])


def _traded(read: Reader, status: str, qty: Decimal) -> tuple[Decimal, Decimal | None]:
    """What traded of an order: quantity and average price."""
    cum_qty, px = read.not_negative("filled_quantity"), _price(read, "filled_price")
    if status == "filled" and not cum_qty:
        read.note("FILLED_WHOLE")
        cum_qty = qty
    cum_qty = cum_qty or ZERO
    if cum_qty and not px:
        raise Unmappable("FILLED_WITHOUT_PRICE", f"filled_quantity={plain(cum_qty)}, filled_price is null")
    if status == "filled" and cum_qty < qty:
        raise Unmappable("FILLED_IN_PART", f"status=filled, quantity={plain(qty)}, filled_quantity={plain(cum_qty)}")
    return cum_qty, px if cum_qty else None


def _status(status: str, qty: Decimal, cum_qty: Decimal) -> str:
    """The desk's fold (`lifecycle.status_of`) of a legacy status and what traded."""
    if status in ("canceled", "rejected", "expired"):
        return status
    if cum_qty >= qty:
        return "filled"
    return "partially_filled" if cum_qty else status


def _execution(read: Reader, order: dict[str, Any], traded_at: datetime) -> dict[str, Any]:
    commission = read.money("commission")
    return {
        "symbol": order["symbol"],
        "side": order["side"],
        "exec_id": f"{LEGACY_EXEC_ID}{read.row['id']}",
        "exec_type": "trade",
        "last_qty": order["cum_qty"],
        "last_px": order["avg_px"],
        "cum_qty": order["cum_qty"],
        "commission": None if commission is None else fit(commission, MONEY_PLACES),
        "broker_order_id": order["broker_order_id"] or "",
        "transact_time": traded_at,
        "received_at": traded_at,
        "text": "from the legacy database: the whole of what traded",
    }


def _traded_at(read: Reader, *times: datetime | None) -> datetime:
    read.note("TRADED_AT_FROM_ORDER")
    return next(when for when in times if when is not None)


def _closed_at(read: Reader, order: dict[str, Any]) -> datetime:
    read.note("CLOSED_AT_FROM_ORDER")
    traded = order[EXECUTION]["transact_time"] if order[EXECUTION] else None
    return traded or order["sent_at"] or order["created_at"]


def _price(read: Reader, column: str) -> Decimal | None:
    """A price; 0 is how the old system wrote that there is none."""
    return read.not_negative(column) or None


def _kept(read: Reader, own: dict[str, Any]) -> dict[str, Any] | None:
    """What has no column of ours, and the rules that were needed."""
    kept = {name: value for name, value in own.items() if value is not None} | _rules(read)
    return kept or None


def _rules(read: Reader) -> dict[str, Any]:
    """The rules that were needed, with the row's values that they changed."""
    return {"_rules": list(read.rules), "_row": readable(read.row)} if read.rules else {}


def _iso(when: datetime | None) -> str | None:
    return when and when.isoformat()
