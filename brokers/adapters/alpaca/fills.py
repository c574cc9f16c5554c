"""Reading fills on and on without missing one.

Alpaca's activity ids begin with New York's local time to the millisecond: two fills of one millisecond may come in
either order, and an hour of autumn comes twice. "Everything after this id" could therefore skip a fill that was
recorded late. So each reading reaches back a few seconds by time, and drops what the caller has already.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Lock

from brokers.messages import ExecutionReport

from .client import Trading
from .parsing import fill_report, moment

OVERLAP = timedelta(seconds=5)


class FillReader:
    """The fills of one account, and the last of them that were given out."""

    def __init__(self, trading: Trading):
        self._trading = trading
        self._lock = Lock()
        self._given: dict[str, datetime] = {}
        self._last_id = ""
        self._latest: datetime | None = None

    def read(self, *, after: datetime | None, after_id: str) -> list[ExecutionReport]:
        """Read fills, oldest first: by time when `after` is given, else on from the fill `after_id`, else all.

        A caller whose `after_id` is the last fill it was given has all of those, and gets only what is new.
        """
        with self._lock:
            if after is None and after_id and after_id == self._last_id:
                found = self._since(self._latest)
                return self._remember([report for report in found if report.exec_id not in self._given])
            return self._remember(self._since(after or self._time_before(after_id)))

    def _since(self, when: datetime | None) -> list[ExecutionReport]:
        since = {} if when is None else {"after": (when.astimezone(UTC) - OVERLAP).strftime("%Y-%m-%dT%H:%M:%SZ")}
        return [fill_report(raw) for raw in self._trading.fills(since)]

    def _time_before(self, after_id: str) -> datetime | None:
        """Find a time before a fill that we do not remember: its predecessor's; None where it has none."""
        before = self._trading.fill_before(after_id) if after_id else None
        return before and moment(before["transaction_time"])

    def _remember(self, reports: list[ExecutionReport]) -> list[ExecutionReport]:
        if reports:
            times = [report.transact_time for report in reports]
            self._last_id, self._latest = reports[-1].exec_id, max(*times, self._latest or times[0])
            self._given |= {report.exec_id: report.transact_time for report in reports}
            self._given = {key: when for key, when in self._given.items() if when > self._latest - 3 * OVERLAP}
        return reports
