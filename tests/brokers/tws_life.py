"""The life of orders at the sandbox's TWS, as a client tells it: shared by two clients that know nothing of each other.

`tws_life_ibapi.py` lives it with IBKR's own client, `tws_life_ib_async.py` with ib_async. It needs only the standard
library, as the former runs in an environment of its own.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Protocol

WAIT_S = 15.0
LISTS = {"positions", "executions", "completed", "account", "summary", "contract"}


class Actions(Protocol):
    """What a client can do, in the life's words; every one of them returns at once."""

    def start(self, port: int, client_id: int) -> None:
        """Connect."""

    def place(self, order_id: int, symbol: str, **terms: Any) -> None:
        """Place or change an order of the API's fields."""

    def cancel(self, order_id: int) -> None:
        """Cancel it."""

    def list_open(self) -> None:
        """Ask for all clients' open orders."""

    def look(self, account: str, symbol: str) -> None:
        """Ask for everything that is read after a (re)connect, and for a symbol's quotes."""

    def stop(self) -> None:
        """Disconnect."""

    def server_version(self) -> int:
        """The version that the server has."""


class Recorder:
    """Keeps what a client is told; its methods are those that both clients call."""

    def __init__(self) -> None:
        self.next_id, self.accounts, self.clock = 0, "", 0
        self.ended: set[str] = set()
        self.said: dict[int, list] = {}
        self.errors: list[list[int]] = []
        self.executions: list[list] = []
        self.commissions: dict[str, str] = {}
        self.positions: dict[str, list] = {}
        self.values: dict[str, str] = {}
        self.summary: dict[str, str] = {}
        self.completed: list[list] = []
        self.contracts: list[list] = []
        self.ticks: dict[str, str] = {}
        self.groups: dict[str, list] = {}

    def told(self, order_id: int, kind: str = "status") -> str:
        """What was last said of an order: its status, or the code of its error."""
        lines = [line for line in self.said.get(order_id, []) if line[0] == kind]
        return lines[-1][1] if lines else ""

    def keep_error(self, request_id: int, code: int) -> None:
        self.errors.append([request_id, code])
        if request_id in self.said:
            self.said[request_id].append(["error", code])

    def keep_commission(self, exec_id: str, amount: Any) -> None:
        self.commissions[exec_id] = plain(amount)

    def nextValidId(self, orderId):
        self.next_id = orderId

    def managedAccounts(self, accountsList):
        self.accounts = accountsList

    def openOrder(self, orderId, contract, order, orderState):
        terms = [order.action, plain(order.totalQuantity), order.orderType, order.tif, plain(order.lmtPrice)]
        names = [order.orderRef, order.account, contract.symbol, contract.conId, contract.exchange]
        self.said.setdefault(orderId, []).append(["open", orderState.status, *terms, *names])
        if order.ocaGroup and not order.parentId:
            self.groups[order.orderRef] = [order.ocaGroup, order.ocaType]

    def orderStatus(self, orderId, status, filled, remaining, avgFillPrice, permId, parentId, lastFillPrice, clientId,
                    whyHeld, mktCapPrice):  # fmt: skip
        numbers = [plain(number) for number in (filled, remaining, avgFillPrice, lastFillPrice)]
        self.said.setdefault(orderId, []).append(["status", status, *numbers, clientId, whyHeld])

    def execDetails(self, reqId, contract, execution):
        numbers = [execution.shares, execution.price, execution.cumQty, execution.avgPrice]
        names = [execution.side, contract.symbol, execution.orderRef, execution.acctNumber, execution.clientId]
        self.executions.append([execution.execId, *map(plain, numbers), *names])
        self.said.setdefault(execution.orderId, []).append(["execution"])

    def position(self, account, contract, pos, avgCost):
        self.positions[contract.symbol] = [account, plain(pos), plain(avgCost)]

    def updateAccountValue(self, key, val, currency, accountName):
        self.values[key] = val

    def accountSummary(self, reqId, account, tag, value, currency):
        self.summary[tag] = value

    def completedOrder(self, contract, order, orderState):
        about = [order.orderRef, contract.symbol, plain(order.filledQuantity)]
        self.completed.append([orderState.status, orderState.completedStatus, *about])

    def contractDetails(self, reqId, contractDetails):
        contract = contractDetails.contract
        names = [contract.symbol, contract.primaryExchange, contractDetails.longName]
        numbers = [contractDetails.minTick, contractDetails.sizeIncrement]
        self.contracts.append([contract.conId, *names, *map(plain, numbers)])

    def tickSize(self, reqId, tickType, size):
        self.ticks[f"size {tickType}"] = plain(size)

    def currentTime(self, time):
        self.clock = time

    def positionEnd(self):
        self.ended.add("positions")

    def openOrderEnd(self):
        self.ended.add("open")

    def execDetailsEnd(self, reqId):
        self.ended.add("executions")

    def completedOrdersEnd(self):
        self.ended.add("completed")

    def accountDownloadEnd(self, accountName):
        self.ended.add("account")

    def accountSummaryEnd(self, reqId):
        self.ended.add("summary")

    def contractDetailsEnd(self, reqId):
        self.ended.add("contract")


def plain(number: Any) -> str:
    """A number that reads the same whatever type the client has for it."""
    return format(Decimal(str(number)).normalize(), "f")


def wait(what: str, happened: Callable[[], Any]) -> None:
    """Wait until it happened; end with an error that says what did not."""
    deadline = time.monotonic() + WAIT_S
    while not happened():
        if time.monotonic() > deadline:
            raise SystemExit(f"not seen in time: {what}")
        time.sleep(0.01)


def live(client: Actions, seen: Recorder) -> None:
    """Connect, trade, read everything, and print what was told as JSON."""
    client.start(int(sys.argv[1]), int(sys.argv[2]))
    wait("readiness", lambda: seen.next_id and seen.accounts and [-1, 2158] in seen.errors)
    first, version = seen.next_id, client.server_version()
    _fill(client, seen, first)
    _change_and_cancel(client, seen, first + 1)
    _be_refused(client, seen, first + 3)
    _bracket(client, seen, first + 5)
    _group(client, seen, first + 8)
    seen.executions.clear()
    client.look(seen.accounts, "IBM")
    wait("lists", lambda: seen.ended >= LISTS and seen.clock and len(seen.ticks) >= 7)
    client.stop()
    print(json.dumps(_words(seen, first) | {"server_version": version}))


def _fill(client: Actions, seen: Recorder, order_id: int) -> None:
    terms = {"action": "BUY", "totalQuantity": 10, "orderType": "MKT", "orderRef": "life-1", "tif": "DAY"}
    client.place(order_id, "IBM", **terms)
    wait("fill", lambda: seen.told(order_id) == "Filled" and seen.commissions)


def _change_and_cancel(client: Actions, seen: Recorder, order_id: int) -> None:
    terms = {"action": "BUY", "orderType": "LMT", "orderRef": "life-2", "tif": "GTC"}
    client.place(order_id, "IBM", totalQuantity=5, lmtPrice=150.0, **terms)
    wait("limit order", lambda: seen.told(order_id) == "Submitted")
    client.place(order_id, "IBM", totalQuantity=4, lmtPrice=151.0, **terms)
    wait("change", lambda: seen.said[order_id][-1][3] == "4")
    stop = {"action": "SELL", "totalQuantity": 3, "orderType": "STP", "auxPrice": 100.0, "orderRef": "life-3"}
    client.place(order_id + 1, "IBM", tif="DAY", **stop)
    wait("stop", lambda: len(seen.said.get(order_id + 1, ())) == 4)
    client.list_open()
    wait("open orders", lambda: "open" in seen.ended)
    client.cancel(order_id)
    wait("cancel", lambda: seen.told(order_id, "error") == 202)


def _be_refused(client: Actions, seen: Recorder, order_id: int) -> None:
    client.place(order_id, "NOSUCH", action="BUY", totalQuantity=1, orderType="MKT", orderRef="life-4", tif="DAY")
    client.place(order_id + 1, "IBM", action="BUY", totalQuantity=1, orderType="WHIM", orderRef="life-5", tif="DAY")
    client.place(order_id - 4, "IBM", action="BUY", totalQuantity=1, orderType="MKT", orderRef="life-6", tif="DAY")
    client.cancel(order_id - 3)
    client.cancel(order_id + 50)
    refused = ([order_id, 200], [order_id + 1, 321], [order_id - 4, 103], [order_id - 3, 10148], [order_id + 50, 10147])
    wait("refusals", lambda: all(one in seen.errors for one in refused))


def _bracket(client: Actions, seen: Recorder, order_id: int) -> None:
    """Place an entry with two exits, transmitted by the last of them, and cancel the entry."""
    entry = {"action": "BUY", "totalQuantity": 2, "orderType": "LMT", "lmtPrice": 150.0, "tif": "GTC"}
    leg = {"action": "SELL", "totalQuantity": 2, "tif": "GTC", "parentId": order_id}
    client.place(order_id, "IBM", orderRef="life-7", transmit=False, **entry)
    client.place(order_id + 1, "IBM", orderType="LMT", lmtPrice=190.0, orderRef="life-7-L1", transmit=False, **leg)
    client.place(order_id + 2, "IBM", orderType="STP", auxPrice=140.0, orderRef="life-7-L2", transmit=True, **leg)
    wait("bracket", lambda: seen.told(order_id) == "Submitted" and seen.told(order_id + 2) == "PreSubmitted")
    client.cancel(order_id)
    wait("the bracket's end", lambda: all(seen.told(order_id + n, "error") == 202 for n in range(3)))


def _group(client: Actions, seen: Recorder, order_id: int) -> None:
    """Place two exits of what is held, each for itself, and cancel one, which ends the other."""
    exit_ = {"action": "SELL", "totalQuantity": 2, "tif": "GTC", "ocaGroup": "life-8", "ocaType": 2}
    client.place(order_id, "IBM", orderType="LMT", lmtPrice=190.0, orderRef="life-8", **exit_)
    client.place(order_id + 1, "IBM", orderType="STP", auxPrice=140.0, orderRef="life-8-L1", **exit_)
    wait("group", lambda: seen.told(order_id) == "Submitted" and len(seen.said.get(order_id + 1, ())) == 4)
    client.cancel(order_id)
    wait("the group's end", lambda: all(seen.told(order_id + n, "error") == 202 for n in range(2)))


def _words(seen: Recorder, first: int) -> dict[str, Any]:
    """What was told, without what differs from run to run: ids count from the first."""
    return {
        "accounts": seen.accounts,
        "orders": {str(order_id - first): told for order_id, told in seen.said.items() if order_id >= first},
        "groups": seen.groups,
        "errors": [code for _, code in seen.errors],
        "executions": [line[1:] for line in seen.executions],
        "commissions": sorted(seen.commissions.values()),
        "commissions_named": all(line[0] in seen.commissions for line in seen.executions),
        "positions": seen.positions,
        "completed": seen.completed,
        "cash": seen.values.get("TotalCashValue"),
        "summary": seen.summary,
        "contracts": seen.contracts,
        "ticks": dict(sorted(seen.ticks.items())),
    }
