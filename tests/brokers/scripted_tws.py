"""A TWS for tests, on a real socket: it greets, keeps what it is told, and answers as a test has it."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Condition, Thread
from typing import Any

from . import tws_messages as tws

DEADLINE = 20.0
Answer = Callable[["Line", list[str]], None]


class Line:
    """One client's connection."""

    def __init__(self, sock: socket.socket):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock = sock
        self._file = sock.makefile("rb")
        self.client_id = -1

    def greet(self, version: int) -> None:
        """Shake hands, and learn which client it is."""
        assert self._file.read(4) == b"API\0"
        self._frame()
        self.send([version, "20260415 18:28:58 Central European Standard Time"])
        self.client_id = int(self.read()[2])

    def send(self, fields: list[Any]) -> None:
        """Send one message; a client that has gone does not matter."""
        body = "".join(f"{field}\0" for field in fields).encode()
        with suppress(OSError):
            self._sock.sendall(struct.pack(">I", len(body)) + body)

    def read(self) -> list[str] | None:
        """Read one message; None when the client has gone."""
        frame = self._frame()
        return None if frame is None else frame.decode().split("\0")[:-1]

    def hang_up(self) -> None:
        """Close the connection."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()

    def _frame(self) -> bytes | None:
        try:
            head = self._file.read(4)
            return self._file.read(struct.unpack(">I", head)[0]) if len(head) == 4 else None
        except (OSError, ValueError):
            return None


class ScriptedTws:
    """Listens on a port of its own; `answers` maps a message's number to what to do about it."""

    def __init__(self, *, accounts: tuple[str, ...] = ("DU1234567",), version: int = tws.SERVER_VERSION):
        self.accounts, self.version, self.next_id = accounts, version, 1
        self.answers: dict[int, Answer] = {tws.CURRENT_TIME: lambda line, _: line.send(tws.current_time(1776270551))}
        self.asked: list[list[str]] = []
        self.lines: list[Line] = []
        self.greets = True
        self.refuse_with: list[Any] | None = None
        self._changed = Condition()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        Thread(target=self._accept, daemon=True).start()

    def on(self, number: int, answer: Answer) -> None:
        """Say what to do when a message with this number comes."""
        self.answers[number] = answer

    def say(self, *messages: list[Any]) -> None:
        """Send to the client that connected last, once there is one."""
        self.wait_until(lambda: self.lines)
        for message in messages:
            self.lines[-1].send(message)

    def hang_up(self) -> None:
        """Drop the client that connected last, once there is one."""
        self.wait_until(lambda: self.lines)
        self.lines[-1].hang_up()

    def of(self, number: int) -> list[list[str]]:
        """Everything with this number that was asked."""
        return [fields for fields in list(self.asked) if fields[0] == str(number)]

    def wait_for(self, number: int, count: int = 1) -> list[str]:
        """Wait until so many messages with this number have come; the last of them."""
        self.wait_until(lambda: len(self.of(number)) >= count)
        return self.of(number)[count - 1]

    def wait_until(self, condition: Callable[[], Any]) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, DEADLINE), "TWS has waited in vain"

    def close(self) -> None:
        self._listening.close()
        for line in self.lines:
            line.hang_up()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listening.accept()
            except OSError:
                return
            Thread(target=self._serve, args=(Line(sock),), daemon=True).start()

    def _serve(self, line: Line) -> None:
        with suppress(AssertionError, TypeError):
            if not self.greets:
                line.read()
                return
            line.greet(self.version)
            if self.refuse_with:
                line.send(self.refuse_with)
                line.hang_up()
                return
            line.send(tws.managed_accounts(*self.accounts))
            line.send(tws.next_valid_id(self.next_id))
            self._note(lambda: self.lines.append(line))
            self._listen(line)

    def _listen(self, line: Line) -> None:
        while (fields := line.read()) is not None:
            self._note(lambda heard=fields: self.asked.append(heard))
            if answer := self.answers.get(int(fields[0])):
                answer(line, fields)

    def _note(self, change: Callable[[], None]) -> None:
        with self._changed:
            change()
            self._changed.notify_all()


class Recorder:
    """A listener that keeps what it is told."""

    def __init__(self):
        self.facts, self.quotes, self.connections, self.reasons = [], [], 0, []
        self.fails = False
        self._changed = Condition()

    def on_facts(self, facts: Sequence[Any]) -> None:
        self._note(lambda: self.facts.extend(facts))
        if self.fails:
            raise RuntimeError("cannot take it")

    def on_quote(self, quote: Any) -> None:
        self._note(lambda: self.quotes.append(quote))

    def on_connected(self) -> None:
        self._note(lambda: setattr(self, "connections", self.connections + 1))

    def on_disconnected(self, reason: str) -> None:
        self._note(lambda: self.reasons.append(reason))

    def wait_until(self, condition: Callable[[], Any]) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, DEADLINE), f"heard only {self.facts}"

    def _note(self, change: Callable[[], None]) -> None:
        with self._changed:
            change()
            self._changed.notify_all()


@contextmanager
def scripted_tws(**options: Any) -> Iterator[ScriptedTws]:
    server = ScriptedTws(**options)
    try:
        yield server
    finally:
        server.close()
