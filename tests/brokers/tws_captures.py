"""Captured Gateway sessions, replayed on a loopback socket as text of server version 176.

The transcripts are lines of `client`, `server`, `sleep` and `disconnect`. What the transcripts leave out of a message
and a real Gateway sends (permIds on executions, the order's label) is taken from elsewhere in the same session.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

from . import tws_messages as tws
from .scripted_tws import DEADLINE, Line

SHARED = Path(os.environ.get("DESK_SHARED", Path(__file__).parents[3] / "shared"))
CAPTURES = SHARED / "captures" / "ib"
NUMBERS = {
    "place_order": 3, "cancel_order": 4, "req_open_orders": 16, "req_executions": 7, "req_completed_orders": 99,
    "req_account_summary": 62, "cancel_account_summary": 63, "req_positions": 61, "cancel_positions": 64,
    "req_contract_details": 9, "req_quote": 1, "cancel_quote": 2, "req_ids": 8,
}  # fmt: skip
# What our adapter asks besides the transcript: answered with nothing.
COMPLETE = {
    16: lambda _: tws.open_order_end(),
    99: lambda _: tws.completed_orders_end(),
    7: lambda fields: tws.executions_end(fields[2]),
    49: lambda _: tws.current_time(1776270551),
}
ABOUT = {1: 2, 2: 2, 7: 2, 9: 2, 62: 2, 63: 2}

Step = tuple[str, str, dict[str, Any]]


def legs(name: str) -> list[list[Step]]:
    """Read a transcript: the steps of each connection."""
    found: list[list[Step]] = []
    for text in (CAPTURES / "ibkr-go" / f"{name}.txt").read_text().splitlines():
        who, _, rest = text.strip().partition(" ")
        if who == "handshake":
            found.append([])
        elif who in ("client", "server"):
            kind, _, body = rest.partition(" ")
            found[-1].append((who, kind, json.loads(body)))
    return found


class Replay:
    """Plays the legs of a transcript, one for each connection; the next begins when the last was ended by `hang_up`."""

    def __init__(self, found: list[list[Step]]):
        self._legs = found
        self.failures: list[str] = []
        self.played = [Event() for _ in found]
        self._over = [Event() for _ in found]
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.settimeout(DEADLINE)
        self.port = self._listening.getsockname()[1]
        self._thread = Thread(target=self._play, daemon=True)
        self._thread.start()

    def wait_until_played(self, leg: int = 0) -> None:
        """Wait until everything of a leg was said and asked."""
        assert self.played[leg].wait(DEADLINE), f"the replay waits in vain: {self.failures}"

    def hang_up(self, leg: int = 0) -> None:
        """End a leg's connection."""
        self._over[leg].set()

    def close(self) -> None:
        for over in self._over:
            over.set()
        self._listening.close()

    def _play(self) -> None:
        with suppress(OSError):
            for steps, played, over in zip(self._legs, self.played, self._over, strict=True):
                sock, _ = self._listening.accept()
                sock.settimeout(DEADLINE)
                line = Line(sock)
                line.greet(tws.SERVER_VERSION)
                Leg(line, steps).play()
                played.set()
                self._answer_until(line, over)
                line.hang_up()

    def _answer_until(self, line: Line, over: Event) -> None:
        listening = Thread(target=_answer_on, args=(line,), daemon=True)
        listening.start()
        over.wait(DEADLINE)


class Leg:
    """The steps of one connection, and what is known of its orders and requests."""

    def __init__(self, line: Line, steps: list[Step]):
        self._line, self._steps = line, steps
        said = [body for who, _, body in steps if who == "server"]
        self._perm_ids = {str(one["order_id"]): one["perm_id"] for one in said if one.get("perm_id")}
        self._clients = {str(one["order_id"]): one["client_id"] for one in said if "client_id" in one}
        self._totals: dict[str, float] = {}
        self._labels: dict[str, str] = {}
        self._requests: dict[str, str] = {}

    def play(self) -> None:
        for who, kind, body in self._steps:
            if who == "server":
                self._line.send(getattr(self, kind)(body))
            else:
                self._wait_for(NUMBERS[kind], body)

    def _wait_for(self, number: int, body: dict) -> None:
        while (fields := self._line.read()) is not None:
            heard = int(fields[0])
            if heard != number:
                if heard in COMPLETE:
                    self._line.send(COMPLETE[heard](fields))
                continue
            if number == tws.PLACE_ORDER:
                order = tws.placed(fields)
                self._labels[order["order_id"]] = order["order_ref"]
            if "req_id" in body:
                self._requests[body["req_id"]] = fields[ABOUT[number]]
            return
        raise ConnectionError("the client has gone")

    def _about(self, body: dict) -> Any:
        return self._requests.get(body["req_id"], body["req_id"])

    # One method for each message of the transcripts

    def managed_accounts(self, body: dict) -> list:
        return tws.managed_accounts(*body["accounts"])

    def next_valid_id(self, body: dict) -> list:
        return tws.next_valid_id(body["order_id"])

    def api_error(self, body: dict) -> list:
        return tws.error(self._about(body), body["code"], body["message"])

    def open_order(self, body: dict) -> list:
        order_id = str(body["order_id"])
        names = ("action", "quantity", "order_type", "lmt_price", "aux_price", "tif", "account", "status")
        return tws.open_order(
            order_id,
            perm_id=body.get("perm_id") or self._perm_ids.get(order_id, 9000 + int(order_id)),
            client_id=body.get("client_id", self._clients.get(order_id, 1)),
            symbol=body["contract"]["symbol"],
            order_ref=self._labels.get(order_id, ""),
            **{"status": "", "account": ""} | {name: body[name] for name in names if name in body},
        )

    def open_order_end(self, body: dict) -> list:
        return tws.open_order_end()

    def order_status(self, body: dict) -> list:
        return tws.order_status(
            body["order_id"], body["status"], perm_id=body["perm_id"], filled=body["filled"],
            remaining=body["remaining"], avg_px=body["avg_fill_price"], client_id=body["client_id"],
            why_held=body["why_held"], last_px=body["last_fill_price"], parent_id=body["parent_id"],
        )  # fmt: skip

    def execution_detail(self, body: dict) -> list:
        order_id = str(body.get("order_id", 0))
        self._totals[order_id] = self._totals.get(order_id, 0) + float(body["shares"])
        time = body["time"].replace("T", "-").rstrip("Z").replace("-", "", 2)
        return tws.execution(
            body["exec_id"], about=self._about(body), order_id=order_id, perm_id=self._perm_ids.get(order_id, 1),
            shares=body["shares"], price=body["price"], side=body["side"], symbol=body["symbol"],
            account=body["account"], client_id=self._clients.get(order_id, 1), cum_qty=self._totals[order_id],
            time=time, order_ref=self._labels.get(order_id, ""),
        )  # fmt: skip

    def executions_end(self, body: dict) -> list:
        return tws.executions_end(self._about(body))

    def commission_report(self, body: dict) -> list:
        return tws.commission(body["exec_id"], body["commission"], body["currency"])

    def completed_order(self, body: dict) -> list:
        names = ("action", "order_type", "status", "quantity", "filled")
        values = {name: body[name] for name in names}
        return tws.completed_order(perm_id=77, symbol=body["contract"]["symbol"], account="", **values)

    def completed_order_end(self, body: dict) -> list:
        return tws.completed_orders_end()

    def position(self, body: dict) -> list:
        contract = {name: body["contract"].get(name, "") for name in ("sec_type", "multiplier", "local_symbol")}
        return tws.position(
            body["account"], body["contract"]["symbol"], body["position"], body["avg_cost"], **contract
        )  # fmt: skip

    def position_end(self, body: dict) -> list:
        return tws.position_end()

    def account_summary(self, body: dict) -> list:
        return tws.account_summary(self._about(body), body["account"], body["tag"], body["value"], body["currency"])

    def account_summary_end(self, body: dict) -> list:
        return tws.account_summary_end(self._about(body))

    def contract_details(self, body: dict) -> list:
        contract = body["contract"]
        return tws.contract_details(
            self._about(body), contract["symbol"], con_id=contract["con_id"], zone=body["time_zone_id"],
            name=body["long_name"],
        )  # fmt: skip

    def contract_details_end(self, body: dict) -> list:
        return tws.contract_details_end(self._about(body))

    def tick_price(self, body: dict) -> list:
        return tws.tick_price(self._about(body), body["field"], body["price"], 0)


@contextmanager
def replayed(name: str) -> Iterator[Replay]:
    """Replay a transcript."""
    replay = Replay(legs(name))
    try:
        yield replay
    finally:
        replay.close()


def raw_messages(test: str) -> list[list[str]]:
    """Read the raw messages that another project captured; each of its lines ends with one surplus separator."""
    captured = json.loads((CAPTURES / "rust_ibapi_captured_orders.json").read_text())
    texts = [one["raw"].removesuffix("|").removesuffix("|") for one in captured["messages"] if one["test"] == test]
    return [text.split("|") for text in texts]


def _answer_on(line: Line) -> None:
    with suppress(OSError, ValueError):
        while (fields := line.read()) is not None:
            if answer := COMPLETE.get(int(fields[0])):
                line.send(answer(fields))
