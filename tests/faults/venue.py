"""The broker's side of the matrix: orders faults from it, does things nobody asked for, moves its market."""

import json
import random
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from tests.brokers.sandbox_client import SandboxAdminError
from tests.brokers.sandbox_process import SandboxProcess
from tests.brokers.sandbox_records import as_tws_shows
from tests.faults.accounts import ACCOUNTS, TestedAccount
from tests.faults.catalogue import REQUEST_FAULTS, STREAM_FAULTS, Fault

START_PX = {"IBM": Decimal("182.00"), "BAC": Decimal("14.20")}
SPREAD = Decimal("0.02")
FARTHEST = Decimal("0.02")
CENT = Decimal("0.01")
WORKING = ("new", "partially_filled")


class Mids(dict):
    """The mid price of each symbol, walking by the seed and never far from where it began."""

    def walk(self, chance: random.Random) -> None:
        """Take one step in each symbol."""
        for symbol, start in START_PX.items():
            moved = self.get(symbol, start) * (1 + Decimal(chance.randint(-40, 40)) / 10_000)
            low, high = start * (1 - FARTHEST), start * (1 + FARTHEST)
            self[symbol] = min(max(moved, low), high).quantize(CENT)


class Venue:
    """The sandbox as its own operator sees it; `done` counts what was done to the desk."""

    def __init__(self, sandbox: SandboxProcess, chance: random.Random, *, streaming: set[str]):
        self.sandbox, self.chance, self.streaming = sandbox, chance, streaming
        self.done: Counter = Counter()
        self.by_hand = 0

    @property
    def admin(self):
        """The sandbox's endpoint for tests."""
        return self.sandbox.admin

    def show(self, mids: Mids) -> None:
        """Show the market where it is now."""
        for symbol, mid in mids.items():
            size = self.chance.randint(40, 400)
            self.admin.push_quote(symbol, mid - SPREAD / 2, mid + SPREAD / 2, size, size)

    def order_faults(self, count: int) -> None:
        """Order faults for the requests and messages that come next."""
        for _ in range(count):
            account = self.chance.choice(ACCOUNTS)
            on_stream = account.name in self.streaming and self.chance.random() < 0.25
            known = (STREAM_FAULTS if on_stream else REQUEST_FAULTS)[account.kind]
            self._order(account, self.chance.choice(known), on_stream)

    def refuse_always(self, client_order_id: str) -> None:
        """Answer 429 to every attempt to place this order, however often it comes."""
        self.admin.fault(
            "error", when="before", operation="new_order", client_order_id=client_order_id, times=None, status=429
        )

    def hits(self) -> Counter:
        """The faults that happened, by the journal."""
        return Counter(_words(line["detail"]) for line in self.admin.journal(kind="fault"))

    def records(self) -> dict[str, dict[str, Any]]:
        """The venue's own record of each account."""
        return {account.name: self.record(account) for account in ACCOUNTS}

    def record(self, account: TestedAccount) -> dict[str, Any]:
        """The venue's own record of one account; of one at a TWS, as that shows it."""
        if account.kind == "interactive_brokers":
            return as_tws_shows(self.admin.tws(account.name).record())
        return self.admin.record(account.name)

    def do(self, deed: str) -> None:
        """Do one thing that nobody asked for; a deed that finds nothing to be done to is left out."""
        account = self.chance.choice(ACCOUNTS)
        record = self.record(account)
        try:
            done = _DEEDS[deed](self, account, record)
        except SandboxAdminError:
            return  # the order or trade went another way meanwhile
        if done:
            self.done[f"venue: {deed}"] += 1

    def _order(self, account: TestedAccount, fault: Fault, on_stream: bool) -> None:
        if on_stream:
            self.admin.stream_fault(fault.action, event=fault.operation, account=account.name, **fault.more)
            self.done[f"{fault.name} (ordered)"] += 1
            return
        where = {"when": fault.when, "operation": fault.operation, "account": account.name}
        self.admin.fault(fault.action, **where, **fault.more)

    def _working(self, record: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Working orders in an order of the seed's."""
        found = [raw for raw in record["orders"] if raw["status"] in WORKING and raw["qty"]]
        self.chance.shuffle(found)
        yield from found

    def _act(self, record: dict[str, Any], *actions: str) -> bool:
        for raw in self._working(record):
            for action in actions:
                self.admin.act(_venue_id(raw), action)
            return True
        return False

    def _fill(self, record: dict[str, Any], share: Decimal) -> bool:
        for raw in self._working(record):
            leaves = Decimal(raw["qty"]) - Decimal(raw["filled_qty"])
            px = raw["limit_price"] or raw["stop_price"] or START_PX[raw["symbol"]]
            qty = max((leaves * share).quantize(Decimal(1)), Decimal(1))
            self.admin.fill(_venue_id(raw), min(qty, leaves), Decimal(px))
            return True
        return False

    def _amend(self, account: TestedAccount, record: dict[str, Any], *, bust: bool) -> bool:
        trades = record["trades"]
        if not trades:
            return False
        trade = self.chance.choice(trades)
        exec_id = trade.get("venue_exec_id") or trade["exec_id"]
        if bust:
            self.admin.bust(exec_id)
        else:
            self.admin.correct(exec_id, trade["qty"], Decimal(trade["px"]) + CENT)
        return True

    def _place_by_hand(self, account: TestedAccount) -> bool:
        self.by_hand += 1
        symbol = self.chance.choice(list(START_PX))
        price = (START_PX[symbol] * Decimal("0.9")).quantize(CENT)
        if account.kind == "interactive_brokers":
            self.admin.tws(account.name).place(symbol, "BUY", 3, order_type="LMT", lmt_price=price, tif="GTC")
            return True
        body = {"client_order_id": f"by-hand-{account.name}-{self.by_hand}", "symbol": symbol, "side": "buy"}
        body |= {"type": "limit", "time_in_force": "gtc", "qty": "3", "limit_price": str(price)}
        key, secret = self.sandbox.keys(account.name)
        headers = {"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret, "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.sandbox.url}/v2/orders", json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=10):
                return True
        except (OSError, urllib.error.HTTPError):
            return True  # hit by a fault that was ordered for the desk; the order may be there or not


def _venue_id(raw: dict[str, Any]) -> str:
    return raw.get("venue_order_id") or raw["id"]


def _words(detail: dict[str, Any]) -> str:
    """A fault as the journal has it: operation or event of a stream, action, when, status of an error."""
    status = detail.get("status") if detail.get("action") == "error" else None
    where = detail.get("operation") or f"stream {detail.get('event', '')}"
    return " ".join(str(word) for word in (where, detail.get("action"), detail.get("when"), status) if word)


_DEEDS = {
    "cancelled unasked": lambda venue, _, record: venue._act(record, "cancel"),
    "rejected after acceptance": lambda venue, _, record: venue._act(record, "reject"),
    "expired": lambda venue, _, record: venue._act(record, "expire"),
    "suspended and resumed": lambda venue, _, record: venue._act(record, "suspend", "resume"),
    "done for the day": lambda venue, _, record: venue._act(record, "done_for_day"),
    "filled in part by hand": lambda venue, _, record: venue._fill(record, Decimal("0.4")),
    "filled by hand": lambda venue, _, record: venue._fill(record, Decimal(1)),
    "trade busted": lambda venue, account, record: venue._amend(account, record, bust=True),
    "trade corrected": lambda venue, account, record: venue._amend(account, record, bust=False),
    "placed by hand": lambda venue, account, _: venue._place_by_hand(account),
    "all connections cut": lambda venue, account, _: venue.admin.disconnect(account.name) > 0,
}
