"""A small HTTP server that answers as a test tells it, faults included; everything it was asked is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

SILENCE = "silence"
HANG_UP = "hang up"


@dataclass(frozen=True)
class Asked:
    """One request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: tuple

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    """What to answer; a `body` that is no text goes out as JSON."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        if self.body is None:
            return b""
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


class ScriptedBroker:
    """Answers come in the order given to `will_answer`; a request past the last one gets a 418."""

    def __init__(self, url: str):
        self.url = url
        self.asked: list[Asked] = []
        self.script: list[Answer | str] = []
        self.over = Event()

    def will_answer(self, *answers: Answer | str) -> None:
        self.script.extend(answers)

    def next_answer(self) -> Answer | str:
        return self.script.pop(0) if self.script else Answer(418, "the script is over")

    def sent(self, method: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.method == method]


@contextmanager
def scripted_broker() -> Iterator[ScriptedBroker]:
    """Run a scripted broker on a free port of this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.broker = broker = ScriptedBroker(f"http://127.0.0.1:{server.server_address[1]}")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield broker
    finally:
        broker.over.set()
        server.shutdown()
        server.server_close()
        thread.join(10)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 30

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        broker: ScriptedBroker = self.server.broker
        broker.asked.append(Asked(self.command, self.path, dict(self.headers), body, self.client_address))
        answer = broker.next_answer()
        if answer == SILENCE:
            broker.over.wait(30)
        if isinstance(answer, str):
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in {"Content-Type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    do_GET = do_POST = do_PATCH = do_DELETE = handle_any

    def log_message(self, *args: Any) -> None:
        """Say nothing."""
