"""TWS's messages as text of server version 176, field by field; https://interactivebrokers.github.io/tws-api/ has no
grammar of them, so they follow captured ones. Values are given in TWS's own words."""

from __future__ import annotations

from typing import Any

SERVER_VERSION = 176
PLACE_ORDER, CANCEL_ORDER, EXECUTIONS, CONTRACT_DETAILS, ALL_OPEN_ORDERS = 3, 4, 7, 9, 16
MARKET_DATA, CANCEL_MARKET_DATA, CURRENT_TIME, POSITIONS, ACCOUNT_SUMMARY, COMPLETED_ORDERS = 1, 2, 49, 61, 62, 99

# Where things stand in a client's placeOrder.
PLACED = {
    "order_id": 1, "con_id": 2, "symbol": 3, "action": 16, "quantity": 17, "order_type": 18, "lmt_price": 19,
    "aux_price": 20, "tif": 21, "account": 23, "order_ref": 26, "outside_rth": 32,
}  # fmt: skip


def placed(fields: list[str]) -> dict[str, str]:
    """Read a client's placeOrder."""
    return {name: fields[index] for name, index in PLACED.items()}


def error(about: Any, code: int, text: str) -> list[Any]:
    return [4, 2, about, code, text, ""]


def next_valid_id(number: int) -> list[Any]:
    return [9, 1, number]


def managed_accounts(*accounts: str) -> list[Any]:
    return [15, 1, ",".join(accounts)]


def order_status(
    order_id: Any, status: str, *, perm_id: Any, filled: Any = 0, remaining: Any = 0, avg_px: Any = 0,
    client_id: Any = 1, why_held: str = "", last_px: Any = 0, parent_id: Any = 0,
) -> list[Any]:  # fmt: skip
    return [3, order_id, status, filled, remaining, avg_px, perm_id, parent_id, last_px, client_id, why_held, 0]


def open_order(
    order_id: Any, *, perm_id: Any, status: str = "Submitted", symbol: str = "AAPL", action: str = "BUY",
    quantity: Any = 10, order_type: str = "LMT", lmt_price: Any = "", aux_price: Any = "", tif: str = "DAY",
    account: str = "DU1234567", client_id: Any = 1, order_ref: str = "", con_id: Any = 265598,
    trailing_percent: Any = "", warning: str = "", parent_id: Any = 0,
) -> list[Any]:  # fmt: skip
    contract = [con_id, symbol, "STK", "", 0, "?", "", "SMART", "USD", symbol, "NMS"]
    return [
        5, order_id, *contract, action, quantity, order_type, lmt_price, aux_price, tif, "", account, "", 0, order_ref,
        client_id, perm_id, 0, 0, 0, "", "", "", "", "", "",
        "", "", "", "", "", 0, "", -1, 0, "", "", "", "", "", 0, 0, 0, 0, "", 3, 0, 0, "", parent_id, 0, "", 0, "", "",
        0, 0, "", trailing_percent, "", "", "",
        0, 0, 0, "", "", "", "", 0, "", "IB", 0, 0, "",
        0, 0, status, *[""] * 9, "", "", "", "", warning, 0, 0, 0,
        "None", "", "", "", "", "", "", 0, "", "", "", 0, 1, 0, 0, 0, "", "", 0, "", "", "", "", "",
    ]  # fmt: skip


def open_order_end() -> list[Any]:
    return [53, 1]


def completed_order(
    *, perm_id: Any, status: str, order_ref: str = "", symbol: str = "AAPL", action: str = "BUY", quantity: Any = 0,
    order_type: str = "LMT", lmt_price: Any = 0, tif: str = "DAY", account: str = "DU1234567", filled: Any = 0,
    words: str = "", time: str = "20260415 15:07:09 US/Eastern",
) -> list[Any]:  # fmt: skip
    contract = [265598, symbol, "STK", "", 0, "?", "", "SMART", "USD", symbol, "NMS"]
    return [
        101, *contract, action, quantity, order_type, lmt_price, 0, tif, "", account, "", 0, order_ref, perm_id, 0, 0,
        0, "", "", "", "", "",
        "", "", "", "", "", 0, "", -1, "", "", "", "", "", 0, 0, 0, "", 3, 0, "", 0, "", "",
        0, 0, "", "", "",
        0, 0, 0, "", "", "", "", "", "IB", 0, 0, "", 0, status, 0, 0, 0,
        "", "", 0, 1, 0, "", filled, 2147483647, 0, "Not an insider or substantial shareholder", 0, 0,
        9223372036854775807, time, words, "", "", "", "", "",
    ]  # fmt: skip


def completed_orders_end() -> list[Any]:
    return [102]


def execution(
    exec_id: str, *, order_id: Any, perm_id: Any, shares: Any, price: Any, about: Any = -1, side: str = "BOT",
    symbol: str = "AAPL", account: str = "DU1234567", client_id: Any = 1, cum_qty: Any = None, avg_px: Any = None,
    order_ref: str = "", time: str = "20260415 15:07:09 US/Eastern",
) -> list[Any]:  # fmt: skip
    contract = [265598, symbol, "STK", "", 0, "", "", "ISLAND", "USD", symbol, "NMS"]
    return [
        11, about, order_id, *contract, exec_id, time, account, "ISLAND", side, shares, price, perm_id, client_id, 0,
        shares if cum_qty is None else cum_qty, price if avg_px is None else avg_px, order_ref, "", "", "", 2,
    ]  # fmt: skip


def executions_end(about: Any) -> list[Any]:
    return [55, 1, about]


def commission(exec_id: str, amount: Any, currency: str = "USD") -> list[Any]:
    return [59, 1, exec_id, amount, currency, "1.7976931348623157E308", "1.7976931348623157E308", ""]


def position(account: str, symbol: str, quantity: Any, avg_cost: Any, **contract: Any) -> list[Any]:
    kind, multiplier = contract.get("sec_type", "STK"), contract.get("multiplier", "")
    local = contract.get("local_symbol") or symbol
    fields = [contract.get("con_id", 0), symbol, kind, "", 0, "", multiplier, "", "USD", local, ""]
    return [61, 3, account, *fields, quantity, avg_cost]


def position_end() -> list[Any]:
    return [62, 1]


def account_summary(about: Any, account: str, tag: str, value: Any, currency: str = "USD") -> list[Any]:
    return [63, 1, about, account, tag, value, currency]


def account_summary_end(about: Any) -> list[Any]:
    return [64, 1, about]


def contract_details(about: Any, symbol: str, *, con_id: Any = 265598, zone: str = "US/Eastern", hours: str = "",
                     name: str = "APPLE INC") -> list[Any]:  # fmt: skip
    return [
        10, about, symbol, "STK", "", 0, "", "SMART", "USD", symbol, "NMS", "NMS", con_id, 0.01,
        "", "LMT,MKT", "SMART,ISLAND", 1, 0, name, "NASDAQ", "", "", "", "", zone, hours, hours, "", 0, 0,
        1, "", "", "26", "", "COMMON", 1, 1, 100,
    ]  # fmt: skip


def contract_details_end(about: Any) -> list[Any]:
    return [52, 1, about]


def tick_price(about: Any, kind: int, price: Any, size: Any) -> list[Any]:
    return [1, 6, about, kind, price, size, 0]


def current_time(seconds: int) -> list[Any]:
    return [49, 1, seconds]
