"""TWS's words to ours: pure functions. The library's floats and sentinels stop here.

A word that IB may add some day means working: an order that may live is never taken for dead.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from brokers.messages import AccountState, BarState, ExecutionReport, InstrumentInfo, PositionState
from tradingdesk.fields import plain
from tradingdesk.fix import AssetClass, ExecType, OrdStatus, OrdType, Side, TimeInForce

from .wire import CompletedOrder, Trade

UNSET_DOUBLE, UNSET_INTEGER = sys.float_info.max, 2**31 - 1

STATUS = {
    "ApiPending": OrdStatus.PENDING,
    "PendingSubmit": OrdStatus.PENDING,
    "PreSubmitted": OrdStatus.NEW,
    "Submitted": OrdStatus.NEW,
    "PendingCancel": OrdStatus.PENDING_CANCEL,
    "ApiCancelled": OrdStatus.CANCELED,
    "Cancelled": OrdStatus.CANCELED,
    "Filled": OrdStatus.FILLED,
    # Held or rejected: the message that tells which may come before or after. Nothing trades meanwhile.
    "Inactive": OrdStatus.SUSPENDED,
}
CLOSED = frozenset({"ApiCancelled", "Cancelled", "Filled"})
WORKING = frozenset({"PreSubmitted", "Submitted"})
# What an order may say that shows a change: one that fills at once on its new terms never says that it works.
CHANGED = WORKING | {"Filled"}
# What a first sight of a status means; fills are told by executions, so a filled order was first "new".
EXEC_TYPE = {
    OrdStatus.PENDING: ExecType.PENDING_NEW,
    OrdStatus.NEW: ExecType.NEW,
    OrdStatus.PARTIALLY_FILLED: ExecType.NEW,
    OrdStatus.FILLED: ExecType.NEW,
    OrdStatus.PENDING_CANCEL: ExecType.PENDING_CANCEL,
    OrdStatus.CANCELED: ExecType.CANCELED,
    OrdStatus.REJECTED: ExecType.REJECTED,
    OrdStatus.SUSPENDED: ExecType.SUSPENDED,
}
SIDE = {"BUY": Side.BUY, "BOT": Side.BUY, "SELL": Side.SELL, "SLD": Side.SELL, "SSHORT": Side.SELL}
# IB has the closing auction as order types, we as a time in force.
ORD_TYPE = {
    "MKT": OrdType.MARKET,
    "MOC": OrdType.MARKET,
    "LMT": OrdType.LIMIT,
    "LOC": OrdType.LIMIT,
    "STP": OrdType.STOP,
    "STP LMT": OrdType.STOP_LIMIT,
    "TRAIL": OrdType.TRAILING_STOP,
}
AT_THE_CLOSE = {OrdType.MARKET: "MOC", OrdType.LIMIT: "LOC"}
TIME_IN_FORCE = {
    "DAY": TimeInForce.DAY,
    "GTC": TimeInForce.GTC,
    "IOC": TimeInForce.IOC,
    "FOK": TimeInForce.FOK,
    "OPG": TimeInForce.OPG,
}
PRICED = frozenset({"LMT", "LOC", "STP LMT"})
STOPPED = frozenset({"STP", "STP LMT"})
ASSET_CLASS = {"STK": AssetClass.US_EQUITY, "CASH": AssetClass.FOREX, "CRYPTO": AssetClass.CRYPTO}
WINDOWS_ZONES = {
    "Eastern Standard Time": "America/New_York",
    "Eastern Daylight Time": "America/New_York",
    "EST": "America/New_York",
    "EST5EDT": "America/New_York",
    "Central Standard Time": "America/Chicago",
    "Mountain Standard Time": "America/Denver",
    "Pacific Standard Time": "America/Los_Angeles",
    "GMT Standard Time": "Europe/London",
    "Greenwich Mean Time": "Europe/London",
    "W. Europe Standard Time": "Europe/Berlin",
    "Central European Standard Time": "Europe/Warsaw",
    "Romance Standard Time": "Europe/Paris",
    "China Standard Time": "Asia/Shanghai",
    "Tokyo Standard Time": "Asia/Tokyo",
}
MOMENT = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)([ T-]+)(\d\d):(\d\d):(\d\d)\s*(.*)")
FILLED_SIZE = re.compile(r"Filled Size:\s*([\d.]+)")
FIGURES = ("NetLiquidation", "TotalCashValue", "BuyingPower")


def desk_symbol(contract: Any) -> str:
    """Name a contract as the desk does: stocks by their symbol (IB's `BRK B` is `BRK.B`), others as IB does locally."""
    if contract.secType in ("STK", ""):
        return contract.symbol.replace(" ", ".")
    return contract.localSymbol or contract.symbol


def ib_symbol(symbol: str) -> str:
    """Spell a stock as IB does."""
    return symbol.replace(".", " ")


def status_of(word: str) -> tuple[OrdStatus, str]:
    """Map IB's status, with the text to show beside it."""
    status = STATUS.get(word)
    return (status, "") if status else (OrdStatus.NEW, f"status {word}" if word else "")


def order_terms(contract: Any, order: Any) -> dict[str, Any]:
    """Read what an order is, without how it stands; a zero price is none."""
    ib_type = order.orderType
    return {
        "symbol": desk_symbol(contract),
        "side": SIDE.get(order.action),
        "ord_type": ORD_TYPE.get(ib_type),
        "time_in_force": TimeInForce.CLS if ib_type in ("MOC", "LOC") else TIME_IN_FORCE.get(order.tif),
        "order_qty": positive(order.totalQuantity),
        "price": positive(order.lmtPrice) if ib_type in PRICED else None,
        "stop_px": positive(order.auxPrice) if ib_type in STOPPED else None,
    }


def completed_report(done: CompletedOrder, zone: str) -> ExecutionReport:
    """Read a completed order, which carries no average price.

    Its quantity is the whole or what was left, captures have both: not known where it traded in part and was cancelled.
    """
    order, state = done.order, done.state
    words = state.completedStatus or ""
    filled = positive(order.filledQuantity) or _filled_size(words)
    status, text = _completed_status(state.status, words)
    terms = order_terms(done.contract, order)
    if filled:
        terms["order_qty"] = filled if status == OrdStatus.FILLED else None
    return ExecutionReport(
        exec_type=ExecType.ORDER_STATUS,
        broker_order_id=str(order.permId),
        client_order_id=order.orderRef,
        transact_time=moment(state.completedTime, zone) or done.at,
        status=status,
        cum_qty=filled or Decimal(0),
        leaves_qty=Decimal(0),
        text=text or words,
        raw={"completedOrder": list(done.fields)},
        **terms,
    )


def trade_report(trade: Trade, zone: str, *, corrects: str | None = None, commission: Decimal | None = None):
    """Read an execution; `corrects` names the earlier revision of it. One that is corrected to nothing is a bust."""
    execution = trade.execution
    shares = number(execution.shares)
    kind = ExecType.TRADE if corrects is None else ExecType.TRADE_CORRECT if shares else ExecType.TRADE_CANCEL
    return ExecutionReport(
        exec_type=kind,
        broker_order_id=str(execution.permId),
        client_order_id=execution.orderRef,
        transact_time=moment(trade.time, zone) or trade.at,
        symbol=desk_symbol(trade.contract),
        side=SIDE.get(execution.side),
        exec_id=execution.execId,
        exec_ref_id=corrects,
        last_qty=shares,
        last_px=number(execution.price),
        cum_qty=number(execution.cumQty),
        avg_px=positive(execution.avgPrice),
        commission=commission,
        raw={"execDetails": list(trade.fields)},
    )


def from_executions(trades: Iterable[ExecutionReport]) -> ExecutionReport | None:
    """Tell of an order what its executions prove: that it was taken, and how much of it has traded."""
    last = max(trades, key=lambda trade: (trade.cum_qty or Decimal(0), trade.transact_time), default=None)
    if last is None:
        return None
    return ExecutionReport(
        exec_type=ExecType.ORDER_STATUS,
        broker_order_id=last.broker_order_id,
        client_order_id=last.client_order_id,
        transact_time=last.transact_time,
        status=OrdStatus.PARTIALLY_FILLED,
        symbol=last.symbol,
        side=last.side,
        cum_qty=last.cum_qty,
        avg_px=last.avg_px,
        raw=last.raw,
    )


def stem_and_revision(exec_id: str) -> tuple[str, int]:
    """Split an execution id: executions that differ only after the last point are one, and the highest stands."""
    stem, point, revision = exec_id.rpartition(".")
    return (stem, int(revision)) if point and revision.isdigit() else (exec_id, 1)


def earlier_revision(exec_id: str, known: Iterable[str] = ()) -> str | None:
    """Name the execution that this one corrects: the last known before it, else the one IB must have sent."""
    stem, revision = stem_and_revision(exec_id)
    lower = [(own, one) for one in known for kin, own in [stem_and_revision(one)] if kin == stem and own < revision]
    if lower:
        return max(lower)[1]
    width = len(exec_id) - len(stem) - 1
    return f"{stem}.{revision - 1:0{width}d}" if revision > 1 else None


def position_state(contract: Any, position: float, avg_cost: float, fields: tuple[str, ...]) -> PositionState:
    """Read a position. IB's average cost is of a whole contract, commissions included."""
    units = positive(contract.multiplier) if contract.secType != "STK" else None
    return PositionState(
        symbol=desk_symbol(contract),
        qty=number(position),
        avg_px=number(avg_cost) / (units or 1),
        raw={"position": list(fields)},
    )


def account_state(
    account_id: str,
    rows: Mapping[str, tuple[str, str]],
    *,
    as_of: datetime,
    exchange_rates: Mapping[str, Decimal] | None = None,
) -> AccountState:
    """Read the account summary: tag to (value, currency); of the ledger in every currency, its rates.

    Raises:
        ValueError: a figure is missing or is no number.
    """
    if missing := [tag for tag in FIGURES if tag not in rows]:
        raise ValueError(f"the account summary has no {', '.join(missing)}")
    equity, cash, buying_power = (number(rows[tag][0]) for tag in FIGURES)
    return AccountState(
        account_id=account_id,
        currency=rows["NetLiquidation"][1] or "USD",
        cash=cash,
        equity=equity,
        portfolio_value=equity,
        buying_power=buying_power,
        as_of=as_of,
        initial_margin=number(rows["InitMarginReq"][0]) if "InitMarginReq" in rows else None,
        maintenance_margin=number(rows["MaintMarginReq"][0]) if "MaintMarginReq" in rows else None,
        exchange_rates=exchange_rates or {},
        raw={tag: list(row) for tag, row in rows.items()},
    )


def exchange_rates(rows: Iterable[tuple[str, str, str]]) -> dict[str, Decimal]:
    """Read the ledger of an account: units of its own currency for one of each that it has, but for the sum's line."""
    told = {currency: optional(value) for tag, value, currency in rows if tag == "ExchangeRate"}
    return {currency: rate for currency, rate in told.items() if currency not in ("", "BASE") and rate and rate > 0}


def instrument_info(details: Any) -> InstrumentInfo | None:
    """Read contract details; None for what the desk does not trade. Prices step by IB's rule for each price."""
    contract = details.contract
    asset_class = ASSET_CLASS.get(contract.secType)
    if asset_class is None:
        return None
    return InstrumentInfo(
        symbol=desk_symbol(contract),
        broker_instrument_id=str(contract.conId),
        asset_class=asset_class,
        currency=contract.currency,
        name=details.longName,
        exchange=contract.primaryExchange or contract.exchange,
        tradable=True,
        fractionable=False,
        shortable=True,
        marginable=True,
        sector=details.industry,
        raw={"conId": contract.conId, "minTick": str(details.minTick), "orderTypes": details.orderTypes},
    )


def bar_state(symbol: str, bar: Any, *, feed: str) -> BarState:
    """Read a daily bar; its date is the exchange's, as digits, and IB writes -1 where it does not know a volume."""
    return BarState(
        symbol=symbol,
        day=date.fromisoformat(str(bar.date)),
        open_px=number(bar.open),
        high_px=number(bar.high),
        low_px=number(bar.low),
        close_px=number(bar.close),
        volume=max(number(bar.volume), Decimal(0)),
        feed=feed,
    )


def number(value: Any) -> Decimal:
    """Read a number from what the library made of it.

    Raises:
        ValueError: it is no finite number, or not set.
    """
    found = optional(value)
    if found is None:
        raise ValueError(f"not a number: {value!r}")
    return found


def optional(value: Any) -> Decimal | None:
    """Read a number that may be unset: the sentinels, nothing, or not finite."""
    if value is None or value == "" or value in (UNSET_DOUBLE, UNSET_INTEGER):
        return None
    found = Decimal(str(value))
    return Decimal(plain(found)) if found.is_finite() else None


def positive(value: Any) -> Decimal | None:
    """Read a number that means nothing where it is zero."""
    return optional(value) or None


def moment(text: str, zone: str) -> datetime | None:
    """Read TWS's time as UTC; `zone` is for those without one. None where it cannot be read."""
    found = MOMENT.fullmatch((text or "").strip())
    if not found:
        return None
    *digits, between, hour, minute, second, name = found.groups()
    spoken = "UTC" if between in ("-", "T") and not name else name
    year, month, day = digits
    naive = (int(part) for part in (year, month, day, hour, minute, second))
    return datetime(*naive, tzinfo=zone_of(spoken, zone)).astimezone(UTC)


def zone_of(name: str, otherwise: str) -> ZoneInfo:
    """Find a time zone by the name that TWS gives it, or by the other, or UTC."""
    for candidate in (WINDOWS_ZONES.get(name, "UTC" if name == "Z" else name), otherwise):
        try:
            if candidate:
                return ZoneInfo(candidate)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            continue
    return ZoneInfo("UTC")


def _completed_status(word: str, words: str) -> tuple[OrdStatus, str]:
    if words.lower().startswith("rejected"):
        return OrdStatus.REJECTED, ""
    if word == "Inactive":
        return OrdStatus.CANCELED, ""
    return status_of(word)


def _filled_size(words: str) -> Decimal | None:
    found = FILLED_SIZE.search(words)
    return Decimal(found[1]) if found else None
