"""Careful clients of the desk: no answer means the same again, with the same id."""

import http.client
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from tests.flows.running_desk import RunningDesk

CLIENTS = 6
TRIES = 300
PAUSE_S = 0.2
TAKEN, DENIED = (200, 201), 422
NO_ANSWER = (OSError, http.client.HTTPException, ValueError)


class Traders:
    """Several clients that send orders and changes side by side, and remember how each was answered."""

    def __init__(self, desk: RunningDesk):
        self.desk = desk
        self.pool = ThreadPoolExecutor(CLIENTS)
        self.answers: dict[str, int] = {}
        self.changes: Counter = Counter()
        self.sent_again = 0

    def place(self, bodies: Iterable[Mapping[str, Any]]) -> list[Future]:
        """Begin to send these orders."""
        return [self.pool.submit(self._place, body) for body in bodies]

    def change(self, name: str, changes: Mapping[str, str] | None) -> Future:
        """Begin to ask for a cancel (None) or a replace of an order."""
        return self.pool.submit(self._change, name, changes)

    def of(self, *statuses: int) -> set[str]:
        """Ids of the orders that were answered with one of these."""
        return {name for name, status in self.answers.items() if status in statuses}

    def close(self) -> None:
        """Send no more."""
        self.pool.shutdown(cancel_futures=True)

    def _place(self, body: Mapping[str, Any]) -> None:
        status, answer = self._call("POST", "/api/v1/orders/", body)
        assert status in (*TAKEN, DENIED), f"{body}: {status} {answer}"
        self.answers[body["client_order_id"]] = status

    def _change(self, name: str, changes: Mapping[str, str] | None) -> None:
        method, what = ("DELETE", "cancel") if changes is None else ("PATCH", "replace")
        status, answer = self._call(method, f"/api/v1/orders/{name}/", changes)
        assert status in (202, 400, 409, 422), f"{what} {name} {changes}: {status} {answer}"
        self.changes[f"{what} {'taken' if status == 202 else 'refused'}"] += 1

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None) -> tuple[int, dict[str, Any]]:
        for _ in range(TRIES):
            try:
                return self.desk.call(method, path, body)
            except NO_ANSWER:
                self.sent_again += 1
                time.sleep(PAUSE_S)
        raise AssertionError(f"{method} {path} was never answered")
