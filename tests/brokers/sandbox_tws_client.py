"""A plain client of TWS's API for tests: it sends fields and keeps every message in the order in which it came."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterable
from typing import Any

TIMEOUT_S = 10.0
VERSIONS = b"v157..178"
NAMES = {
    1: "tick_price",
    2: "tick_size",
    3: "order_status",
    4: "error",
    5: "open_order",
    9: "next_valid_id",
    11: "execution",
    15: "managed_accounts",
    53: "open_order_end",
    55: "executions_end",
    57: "tick_snapshot_end",
    58: "market_data_type",
    59: "commission",
    61: "position",
    62: "position_end",
    101: "completed_order",
    102: "completed_orders_end",
}
Message = list[str]


class TwsGone(Exception):
    """The other side has ended the connection."""


class TwsClient:
    """One connection. `seen` are all messages so far, `looked` how many of them `wait_for` has passed."""

    def __init__(self, port: int, client_id: int = 1, *, start: bool = True):
        self.client_id, self.seen, self.looked = client_id, [], 0
        self.next_id = 0
        self._data = b""
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
        self.socket.sendall(b"API\0" + struct.pack(">I", len(VERSIONS)) + VERSIONS)
        self.server_version = int(self._next()[0])
        if start:
            self.send(71, 2, client_id, "")
            self.next_id = int(self.wait_for("next_valid_id")[2])
            self.wait_for("error", lambda message: message[3] == "2158")

    def __enter__(self) -> TwsClient:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self.socket.close()

    def send(self, *fields: Any) -> None:
        """Send one message."""
        body = b"".join(str(field).encode() + b"\0" for field in fields)
        self.socket.sendall(struct.pack(">I", len(body)) + body)

    def place(self, symbol: str, action: str, quantity: Any, order_type: str = "MKT", **terms: Any) -> int:
        """Place an order, or change that of `order_id`; its id."""
        order_id = terms.pop("order_id", None) or self.next_id
        self.next_id = max(self.next_id, order_id + 1)
        self.send(*place_fields(order_id, symbol, action, quantity, order_type, **terms))
        return order_id

    def cancel(self, order_id: int) -> None:
        """Ask for a cancel."""
        self.send(4, 1, order_id, "")

    def wait_for(self, name: str, chosen: Callable[[Message], bool] = lambda message: True) -> Message:
        """The next message of this name that is meant, and pass all before it."""
        while True:
            while self.looked < len(self.seen):
                message = self.seen[self.looked]
                self.looked += 1
                if name_of(message) == name and chosen(message):
                    return message
            self.seen.append(self._next())

    def wait_for_status(self, order_id: int, status: str) -> Message:
        """The next orderStatus that says so."""
        return self.wait_for("order_status", lambda m: m[1] == str(order_id) and m[2] == status)

    def wait_for_error(self, code: int) -> Message:
        """The next error of this code."""
        return self.wait_for("error", lambda message: message[3] == str(code))

    def ask(self, *fields: Any, until: str) -> list[Message]:
        """Send a request and give all messages up to the one that ends the answer."""
        begin = self.looked = len(self.seen)
        self.send(*fields)
        self.wait_for(until)
        return self.seen[begin : self.looked - 1]

    def sync(self) -> None:
        """Wait until all that was sent before is answered, as requests are served in order."""
        self.ask(17, 1, until="managed_accounts")

    def told(self, order_id: int | None = None) -> list[str]:
        """What came so far as words: names, with the status or the code behind them."""
        return [_word(m) for m in self.seen if order_id is None or _id_of(m) == str(order_id)]

    def is_ended(self) -> bool:
        """Wait for the other side to end the connection, reading what comes before."""
        try:
            while True:
                self.seen.append(self._next())
        except (TwsGone, ConnectionError):
            return True
        except TimeoutError:
            return False

    def _next(self) -> Message:
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            if len(self._data) >= 4:
                end = 4 + struct.unpack(">I", self._data[:4])[0]
                if len(self._data) >= end:
                    body, self._data = self._data[4:end], self._data[end:]
                    return body.decode().split("\0")[:-1]
            self.socket.settimeout(max(deadline - time.monotonic(), 0.001))
            more = self.socket.recv(65_536)
            if not more:
                raise TwsGone
            self._data += more


def name_of(message: Message) -> str:
    """What kind of message it is."""
    return NAMES.get(int(message[0]), message[0])


def _word(message: Message) -> str:
    name = name_of(message)
    detail = {"order_status": 2, "error": 3}.get(name)
    return f"{name} {message[detail]}" if detail else name


def _id_of(message: Message) -> str:
    at = {"order_status": 1, "open_order": 1, "execution": 2, "error": 2}.get(name_of(message))
    return message[at] if at else ""


def place_fields(order_id: int, symbol: str, action: str, quantity: Any, order_type: str, **terms: Any) -> Iterable:
    """The fields of placeOrder at server version 176; `terms` by their names in the API."""
    term = {"lmtPrice": "", "auxPrice": "", "tif": "DAY", "orderRef": "", "exchange": "SMART"} | terms
    get = term.get
    contract = [get("conId", 0), symbol, "STK", "", "0.0", "", "", get("exchange"), "", "USD", "", "", "", ""]
    main = [action, quantity, order_type, get("lmtPrice"), get("auxPrice"), get("tif"), get("ocaGroup", "")]
    refs = [get("account", ""), "", 0, get("orderRef"), int(get("transmit", True)), get("parentId", 0)]
    flags = [0, 0, 0, 0, int(get("outsideRth", False)), 0]
    allocation = ["", 0, "", "", "", "", "", "", "", 0, "", -1, get("ocaType", 0), "", "", 0, "", "", 0, 0, "", 0]
    prices = ["", "", "", "", "", 0, "", "", "", "", 0, "", get("trailStopPrice", ""), get("trailingPercent", "")]
    scale = ["", "", "", "", "", "", "", 0, "", "", 0, 0, "", "", int(get("whatIf", False)), "", 0, 0, 0, 0]
    tail = ["", "", "", "", "", "", 0, "", "", "", get("cashQty", ""), "", "", "", "", 0, 0, "", "", "", "", 0, "", ""]
    return [3, order_id, *contract, *main, *refs, *flags, *allocation, *prices, *scale, *tail]
