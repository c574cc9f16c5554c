"""A client for the sandbox's endpoint for tests: order faults and holds, move the market, read the record."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlencode

TIMEOUT_S = 10.0


class SandboxAdminError(Exception):
    """The sandbox refused what the test asked of it."""


class SandboxAdmin:
    """One sandbox's test endpoint.

    Operations are the route names of the server: new_order, replace_order, cancel_order, find_order,
    get_order, list_orders, activities, positions, account, assets, clock, data.latest_quotes and so on.
    """

    def __init__(self, url: str, secret: str):
        self.url, self.secret = url, secret

    def fault(
        self,
        action: str,
        *,
        when: str = "after",
        operation: str | None = None,
        account: str | None = None,
        client_order_id: str | None = None,
        times: int | None = 1,
        **more: Any,
    ) -> None:
        """Order a fault for the next `times` requests that match: drop, delay (seconds), error (status, body),
        duplicate, disconnect, echo; `before` or `after` the request took effect."""
        rule = {"account": account, "operation": operation, "client_order_id": client_order_id, "times": times}
        self._post("/faults", {"action": action, "when": when, **rule, **more})

    def stream_fault(
        self,
        action: str,
        *,
        event: str | None = None,
        account: str | None = None,
        client_order_id: str | None = None,
        times: int | None = 1,
        **more: Any,
    ) -> None:
        """Order a fault for the next `times` messages of a stream that match: drop, delay (seconds), duplicate,
        disconnect, swap (sent after the next one), malformed (body). `event` is fill, new, quote and so on."""
        rule = {"account": account, "operation": event, "client_order_id": client_order_id, "times": times}
        self._post("/stream_faults", {"action": action, **rule, **more})

    def hold(
        self,
        point: str,
        *,
        operation: str | None = None,
        account: str | None = None,
        client_order_id: str | None = None,
        times: int | None = 1,
    ) -> None:
        """Hold the next `times` requests that match at request_received, before_answer or after_answer."""
        rule = {"account": account, "operation": operation, "client_order_id": client_order_id, "times": times}
        self._post("/holds", {"point": point, **rule})

    def wait_for_held(self, count: int = 1, timeout: float = 10.0) -> list[dict[str, Any]]:
        """Wait until `count` requests are held; fail when they are not in time."""
        held = self._get("/held", count=count, timeout=timeout, _timeout=timeout + TIMEOUT_S)
        assert len(held) >= count, f"held: {held}, wanted {count}"
        return held

    def held(self) -> list[dict[str, Any]]:
        """What is held now."""
        return self._get("/held", count=0)

    def release(self, held_id: int | None = None, *, drop: bool = False) -> int:
        """Let one held request go on, or all; with `drop` its connection closes and nothing more is done."""
        return self._post("/release", {"held_id": held_id, "drop": drop})["released"]

    def clear(self) -> None:
        """Forget all faults and holds."""
        self._post("/clear")

    def disconnect(self, account: str | None = None) -> int:
        """Close the connections of an account, or of all."""
        return self._post("/disconnect", {"account": account})["closed"]

    def disconnect_streams(self, account: str | None = None) -> int:
        """Break the streams of an account, or of all; requests go on."""
        return self._post("/disconnect_streams", {"account": account})["closed"]

    def listens(self, account: str) -> bool:
        """Whether the account listens to trade updates."""
        return "updates" in self._get("/streams").get(account, ())

    def subscribes(self, account: str) -> bool:
        """Whether the account subscribes to quotes."""
        return "quotes" in self._get("/streams").get(account, ())

    def journal(self, **filters: Any) -> list[dict[str, Any]]:
        """Lines of the journal, by kind, account, client_order_id, after."""
        return self._get("/journal", **filters)

    def requests(self, operation: str, **filters: Any) -> list[dict[str, Any]]:
        """The requests of one operation that arrived, as the journal has them."""
        return [line for line in self.journal(kind="request", **filters) if line["detail"]["operation"] == operation]

    def record(self, account: str) -> dict[str, Any]:
        """The venue's own record of an account: orders, executions, trades (as they stand), positions, cash."""
        return self._get(f"/accounts/{account}")

    def order(self, account: str, client_order_id: str) -> dict[str, Any]:
        """The venue's order with this client id."""
        return next(o for o in self.record(account)["orders"] if o["client_order_id"] == client_order_id)

    def push_quote(self, symbol: str, bid_px: Any, ask_px: Any, bid_size: Any = 1000, ask_size: Any = 1000) -> None:
        """Show a quote."""
        values = {"bid_px": bid_px, "ask_px": ask_px, "bid_size": bid_size, "ask_size": ask_size}
        self._post("/market/quote", {"symbol": symbol, **{k: str(v) for k, v in values.items()}})

    def pause(self) -> None:
        """Stop the replay where it is."""
        self._post("/market/pause")

    def resume(self) -> None:
        """Let the replay go on."""
        self._post("/market/resume")

    def open_session(self) -> None:
        """Open the market."""
        self._post("/market/open")

    def close_session(self) -> None:
        """Close the market: day orders expire."""
        self._post("/market/close")

    def act(self, order_id: str, action: str, **more: Any) -> dict[str, Any]:
        """Do to an order unasked: cancel, refuse_cancel, reject, expire, fill, done_for_day, suspend, resume."""
        return self._post(f"/orders/{order_id}/{action}", {name: str(value) for name, value in more.items()})

    def fill(self, order_id: str, qty: Decimal | int | str, px: Decimal | int | str) -> dict[str, Any]:
        """Fill an order outside the book."""
        return self.act(order_id, "fill", qty=qty, px=px)

    def bust(self, exec_id: str) -> dict[str, Any]:
        """Take a trade back."""
        return self._post(f"/executions/{exec_id}/bust")

    def correct(self, exec_id: str, qty: Decimal | int | str, px: Decimal | int | str) -> dict[str, Any]:
        """Correct a trade."""
        return self._post(f"/executions/{exec_id}/correct", {"qty": str(qty), "px": str(px)})

    def tws(self, account: str = "interactive_brokers") -> TwsAdmin:
        """The same for an account's TWS."""
        return TwsAdmin(self, account)

    def _get(self, path: str, *, _timeout: float = TIMEOUT_S, **query: Any) -> Any:
        return self._call(urllib.request.Request(f"{self._at(path)}?{urlencode(query)}"), _timeout)

    def _post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        return self._call(urllib.request.Request(self._at(path), json.dumps(body or {}).encode()), TIMEOUT_S)

    def _at(self, path: str) -> str:
        return f"{self.url}/sandbox{quote(path)}"

    def _call(self, request: urllib.request.Request, timeout: float) -> Any:
        request.add_header("X-Sandbox-Secret", self.secret)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            raise SandboxAdminError(f"{request.full_url}: {error.code} {error.read().decode()}") from error


class TwsAdmin:
    """One account's TWS: its connection to IB, its daily reset, and what a person does at its screen.

    Faults and holds are ordered as for Alpaca, by operation: new_order, replace_order, cancel_order,
    cancel_all_orders, open_orders, all_open_orders, completed_orders, executions, positions, account_updates,
    account_updates_multi, account_summary, market_data, contract_details, current_time, start_api. `error` takes
    TWS's code as `status`; `no_end` leaves out the end of a list. Stream faults know order_status, open_order,
    execution, commission and error.
    """

    def __init__(self, admin: SandboxAdmin, account: str):
        self.admin, self.path = admin, f"/tws/{account}"

    def connectivity(self, code: int) -> None:
        """Lose IB (1100, 2110), find it again (1101 with data lost, 1102 with data kept), or only say a code."""
        self.admin._post(f"{self.path}/connectivity", {"code": code})

    def notice(self, code: int, text: str = "", request_id: int = -1) -> None:
        """Send an error or notice to every client."""
        self.admin._post(f"{self.path}/notice", {"code": code, "text": text, "request_id": request_id})

    def market_data(self, allowed: str) -> None:
        """Set what market data the account may have: live, delayed, none."""
        self.admin._post(f"{self.path}/market_data", {"allowed": allowed})

    def reset(self, seconds: float) -> None:
        """Break all connections and refuse new ones for a while."""
        self.admin._post(f"{self.path}/reset", {"seconds": seconds})

    def close(self) -> None:
        """Break all connections and refuse new ones until `open`."""
        self.admin._post(f"{self.path}/close")

    def open(self) -> None:
        """Let clients in again."""
        self.admin._post(f"{self.path}/open")

    def clients(self) -> list[int]:
        """The ids of the clients that are connected."""
        return self.admin._get(f"{self.path}/clients")

    def orders(self) -> list[dict[str, Any]]:
        """All orders as TWS has them, oldest first: perm_id, client_id, order_id, order_ref, status, filled…"""
        return self.admin._get(f"{self.path}/orders")

    def record(self) -> dict[str, Any]:
        """What `SandboxAdmin.record` gives, as TWS has it: an order's id is its permanent id, its client id its
        reference, and a changed order is one order; `venue_order_id` is what `act` and `fill` of the sandbox take."""
        return self.admin._get(f"{self.path}/record")

    def order(self, order_ref: str) -> dict[str, Any]:
        """The first order with this reference."""
        return next(order for order in self.orders() if order["order_ref"] == order_ref)

    def place(self, symbol: str, action: str, quantity: Any, **more: Any) -> dict[str, Any]:
        """Place an order by hand, or with `client_id` as another client: order_type, lmt_price, aux_price, tif."""
        body = {"symbol": symbol, "action": action, "quantity": quantity, **more}
        plain = {name: value if isinstance(value, int) else str(value) for name, value in body.items()}
        return self.admin._post(f"{self.path}/orders", plain)

    def cancel(self, perm_id: int, client_id: int = 0) -> dict[str, Any]:
        """Cancel an order by hand, or as another client."""
        return self.admin._post(f"{self.path}/orders/{perm_id}/cancel", {"client_id": client_id})

    def change(self, perm_id: int, **terms: Any) -> dict[str, Any]:
        """Change an order by hand: quantity, lmt_price, aux_price."""
        body = {name: str(value) for name, value in terms.items()}
        return self.admin._post(f"{self.path}/orders/{perm_id}/change", body)

    def fill(self, perm_id: int, qty: Any, px: Any) -> dict[str, Any]:
        """Fill an order outside the book."""
        order = next(order for order in self.orders() if order["perm_id"] == perm_id)
        return self.admin.fill(order["venue_order_id"], qty, px)
