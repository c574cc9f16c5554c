"""Alpaca's rate limit: so many requests a minute, told in every answer's headers."""

from __future__ import annotations


class RateLimit:
    """Counts one account's requests by calendar minute."""

    def __init__(self, per_minute: int):
        self.per_minute = per_minute
        self.minute = 0
        self.used = 0

    def count(self, now: float) -> dict[str, str]:
        """Count a request at `now` (seconds since the epoch); the headers that tell how the limit stands."""
        minute = int(now // 60)
        if minute != self.minute:
            self.minute, self.used = minute, 0
        self.used += 1
        return {
            "X-RateLimit-Limit": str(self.per_minute),
            "X-RateLimit-Remaining": str(max(self.per_minute - self.used, 0)),
            "X-RateLimit-Reset": str((minute + 1) * 60),
        }

    @property
    def exceeded(self) -> bool:
        """Whether the request counted last was one too many."""
        return self.used > self.per_minute
