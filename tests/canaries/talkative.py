"""A broker that repeats the keys it was asked with, in whatever way it refuses: the worst counterparty of a log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

PADDING = "x" * 150  # the desk cuts pages that are no answer of Alpaca's after 200 characters

ANSWERS = {
    "unauthorized": (401, lambda said: json.dumps({"code": 40110000, "message": f"access key {said} not authorized"})),
    "forbidden": (403, lambda said: json.dumps({"code": 40310000, "message": f"forbidden for {said}", "key": said})),
    "refused": (422, lambda said: json.dumps({"code": 42210000, "message": f"no order for {said}", said: [said]})),
    "limited": (429, lambda said: json.dumps({"code": 42910000, "message": f"slow down, {said}"})),
    "failed": (500, lambda said: f"<html>{PADDING} {said} {said}</html>"),
    "odd": (200, lambda said: json.dumps({"id": said, "status": said, "keys": {said: said}})),
    "no JSON": (200, lambda said: f"your keys are {said}"),
}


class Talkative:
    """Where it is, and how it answers from now on."""

    def __init__(self, url: str):
        self.url, self.manner, self.asked = url, "unauthorized", 0


@contextmanager
def talkative_broker() -> Iterator[Talkative]:
    """Run one on a free port of this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.broker = Talkative(f"http://127.0.0.1:{server.server_address[1]}")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server.broker
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        self.server.broker.asked += 1
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        said = " ".join(self.headers.get(name, "") for name in ("APCA-API-KEY-ID", "APCA-API-SECRET-KEY"))
        status, body = ANSWERS[self.server.broker.manner]
        content = body(said).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = do_PATCH = _answer

    def log_message(self, *args) -> None:
        """Say nothing."""
