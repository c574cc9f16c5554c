"""The numbers of orders and requests: one rising sequence for a client id, as TWS demands.

TWS refuses an order id that is not above those it has seen (103), and takes a used one for a change of that order. So
an id is issued once, sent once, and never after a higher one.
"""

from __future__ import annotations

from threading import Lock


class OrderIds:
    """Issues ids; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._next = 0
        self._issued: set[int] = set()

    def at_least(self, number: int) -> None:
        """Go on from `number` or higher: TWS's next valid id, or one above an order's that was seen."""
        with self._lock:
            self._next = max(self._next, number)

    def for_request(self) -> int:
        """Take an id for a request that is no order."""
        with self._lock:
            return self._take()

    def for_order(self) -> int:
        """Take an id for an order that will be sent later."""
        with self._lock:
            number = self._take()
            self._issued.add(number)
            return number

    def for_leg(self) -> int:
        """Take an id for an order that is sent right now; those that were issued before can be sent no more."""
        with self._lock:
            number = self._take()
            self._issued.clear()
            return number

    def is_waiting_for_earlier(self, number: int) -> bool:
        """Whether a lower id was issued and not yet sent."""
        with self._lock:
            return number in self._issued and min(self._issued) < number

    def use(self, number: int) -> bool:
        """Mark an issued id as sent; lower ones can be sent no more. False when this one cannot."""
        with self._lock:
            if number not in self._issued:
                return False
            self._issued = {one for one in self._issued if one > number}
            return True

    def forget_issued(self) -> None:
        """Void what was issued and not sent: the connection was lost, and TWS may have started the sequence anew."""
        with self._lock:
            self._issued.clear()

    def begin(self) -> int:
        """Void what was issued and not sent, as a connection begins; the lowest id that can be sent on it."""
        with self._lock:
            self._issued.clear()
            return self._next

    def _take(self) -> int:
        number = self._next
        self._next += 1
        return number
