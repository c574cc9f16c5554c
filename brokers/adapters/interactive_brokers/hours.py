"""The market's clock from a contract's trading hours; pure.

IB writes them as `20260415:0930-20260415:1600;20260416:CLOSED`, in the contract's own time zone.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from brokers.messages import ClockState

SESSION = re.compile(r"(\d{8}):(\d{4})-(?:(\d{8}):)?(\d{4})")


def sessions(text: str, zone: str) -> list[tuple[datetime, datetime]]:
    """Read the sessions, in UTC, earliest first; days marked CLOSED have none."""
    found = []
    for day, opens, last_day, closes in SESSION.findall(text):
        found.append((_at(day + opens, zone), _at((last_day or day) + closes, zone)))
    return sorted(found)


def clock_state(now: datetime, text: str, zone: str) -> ClockState:
    """Tell whether a session is on, and when the next opens and closes.

    Where the present session is the last known, `next_open` is its end: no session opens before that.

    Raises:
        ValueError: the hours do not reach that far.
    """
    ahead = [(start, end) for start, end in sessions(text, zone) if end > now]
    if not ahead:
        raise ValueError(f"the trading hours end before the next session: {text!r}")
    next_close = ahead[0][1]
    next_open = next((start for start, _ in ahead if start > now), next_close)
    return ClockState(timestamp=now, is_open=ahead[0][0] <= now, next_open=next_open, next_close=next_close)


def _at(text: str, zone: str) -> datetime:
    return datetime.strptime(text, "%Y%m%d%H%M").replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
