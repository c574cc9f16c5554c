"""What Alpaca says of orders, positions, fills and times: JSON with money and quantities as strings."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any
from zoneinfo import ZoneInfo

from brokers.sandbox.accounts import Asset, stable_id
from brokers.sandbox.book import ZERO, Execution, Order
from brokers.sandbox.ledger import Holding
from tradingdesk.fix import OrderClass, OrdStatus, Side, TimeInForce

NEW_YORK = ZoneInfo("America/New_York")
GTC_LASTS = timedelta(days=90)


def number(value: Decimal | int, places: int = 9) -> str:
    """A number as Alpaca prints it: plain digits, no more places than asked for, no trailing zeros."""
    rounded = Decimal(value).quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN)
    text = format(rounded, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def optional(value: Decimal | None) -> str | None:
    """A number, or null."""
    return None if value is None else number(value)


def timestamp(at: datetime) -> str:
    """A time with nanoseconds, as Alpaca has it; the last three digits follow from the others."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}{at.microsecond * 7 % 1000:03d}Z"


def optional_time(at: datetime | None) -> str | None:
    """A time, or null."""
    return None if at is None else timestamp(at)


def market_time(at: datetime) -> str:
    """A time in New York with its offset, as the clock has it."""
    return at.astimezone(NEW_YORK).isoformat()


def status_word(order: Order) -> str:
    """The order's status: pending_new while it is on its way, accepted while it waits for the market to open."""
    if order.status is OrdStatus.PENDING:
        return "held" if order.held else "accepted" if order.queued else "pending_new"
    return order.status.value


def position_intent(order: Order) -> str:
    """What the order is for, by whether it closes a position."""
    return f"{order.side.value}_to_{'close' if order.closing_qty else 'open'}"


def class_words(order: Order) -> dict[str, str]:
    """What the order belongs to. A simple order's class is an empty string, and it has no group."""
    if order.order_class is OrderClass.SIMPLE:
        return {"order_class": ""}
    return {"order_class": order.order_class.value, "group_id": order.group_id, "group_role": order.leg_role.value}


def order_words(order: Order, legs: Iterable[Order] = ()) -> dict[str, Any]:
    """An order as the orders API shows it, with its legs where they were asked for."""
    asked, kind = timestamp(order.created_at), order.ord_type.value
    lasts = {"expires_at": timestamp(order.created_at + GTC_LASTS)} if order.time_in_force is TimeInForce.GTC else {}
    return {
        "id": order.order_id,
        "client_order_id": order.client_order_id,
        "created_at": asked,
        "updated_at": timestamp(order.updated_at),
        "submitted_at": asked,
        "filled_at": optional_time(order.filled_at),
        "expired_at": optional_time(order.expired_at),
        **lasts,
        "canceled_at": optional_time(order.canceled_at),
        "failed_at": optional_time(order.failed_at),
        "replaced_at": optional_time(order.replaced_at),
        "replaced_by": order.replaced_by,
        "replaces": order.replaces,
        "asset_id": stable_id("asset", order.symbol),
        "symbol": order.symbol,
        "asset_class": "us_equity",
        "notional": optional(order.notional),
        "qty": optional(order.order_qty),
        "filled_qty": number(order.cum_qty),
        "filled_avg_price": optional(order.avg_px),
        **class_words(order),
        "order_type": kind,
        "type": kind,
        "side": order.side.value,
        "time_in_force": order.time_in_force.value,
        "limit_price": optional(order.price),
        "stop_price": optional(order.stop_px),
        "status": status_word(order),
        "extended_hours": order.extended_hours,
        "legs": [order_words(leg) for leg in legs] or None,
        "trail_percent": optional(order.trail_percent),
        "trail_price": optional(order.trail_price),
        "hwm": optional(order.hwm),
        "position_intent": position_intent(order),
        "subtag": None,
        "source": None,
    }


def activity_id(execution: Execution) -> str:
    """Alpaca's id of an activity; its time is New York's, so nothing should be read from it."""
    local = execution.at.astimezone(NEW_YORK)
    return f"{local:%Y%m%d%H%M%S}{local.microsecond // 1000:03d}::{execution.exec_id}"


def fill_words(trade: Execution) -> dict[str, Any]:
    """A trade as the activities API shows it."""
    filled = trade.order_status is OrdStatus.FILLED
    return {
        "id": activity_id(trade),
        "activity_type": "FILL",
        "transaction_time": timestamp(trade.at),
        "type": "fill" if filled else "partial_fill",
        "price": number(trade.px),
        "qty": number(trade.qty),
        "side": trade.side.value,
        "symbol": trade.symbol,
        "leaves_qty": number(trade.leaves_qty),
        "order_id": trade.order_id,
        "cum_qty": number(trade.cum_qty),
        "order_status": trade.order_status.value,
    }


def fee_words(trade: Execution) -> dict[str, Any]:
    """The fee of a trade as an activity of its own."""
    return {
        "id": activity_id(trade).replace("::", "::fee-"),
        "activity_type": "FEE",
        "date": f"{trade.at.astimezone(NEW_YORK):%Y-%m-%d}",
        "net_amount": number(-trade.fee),
        "description": f"fee for {number(trade.qty)} {trade.symbol}",
        "symbol": trade.symbol,
        "status": "executed",
    }


def position_words(asset: Asset, holding: Holding, available: Decimal, mark: Decimal, lastday: Decimal) -> dict:
    """A position; a short one has negative quantity, value and basis."""
    value, basis = holding.qty * mark, holding.qty * holding.avg_px
    gain = value - basis
    share = gain / abs(basis) if basis else ZERO
    return {
        "asset_id": asset.asset_id,
        "symbol": asset.symbol,
        "exchange": asset.about.exchange,
        "asset_class": "us_equity",
        "asset_marginable": asset.about.marginable,
        "qty": number(holding.qty),
        "qty_available": number(available * (1 if holding.qty > 0 else -1)),
        "avg_entry_price": number(holding.avg_px),
        "side": "long" if holding.qty > 0 else "short",
        "market_value": number(value),
        "cost_basis": number(basis),
        "unrealized_pl": number(gain),
        "unrealized_plpc": number(share),
        "unrealized_intraday_pl": number(gain),
        "unrealized_intraday_plpc": number(share),
        "current_price": number(mark),
        "lastday_price": number(lastday),
        "change_today": number(mark / lastday - 1 if lastday else ZERO),
    }


def closing_side(holding: Holding) -> Side:
    """The side of an order that closes the holding."""
    return Side.SELL if holding.qty > 0 else Side.BUY


def asset_words(asset: Asset) -> dict[str, Any]:
    """An asset. `easy_to_borrow` is what clients of before 2026 still read."""
    about = asset.about
    return {
        "id": asset.asset_id,
        "class": "us_equity",
        "exchange": about.exchange,
        "symbol": asset.symbol,
        "name": about.name or asset.symbol,
        "status": "active",
        "tradable": about.tradable,
        "marginable": about.marginable,
        "maintenance_margin_requirement": 30,
        "margin_requirement_long": "30",
        "margin_requirement_short": "30",
        "shortable": about.shortable,
        "easy_to_borrow": about.shortable,
        "borrow_status": "easy_to_borrow" if about.shortable else "hard_to_borrow",
        "fractionable": about.fractionable,
        "attributes": [],
    }
