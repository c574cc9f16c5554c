"""A client as people first write it: send, then record; no answer means once more. The matrix must catch it.

    python -m tests.faults.naive ORDERS BOOKS URL KEY SECRET
    python -m tests.faults.naive ORDERS BOOKS PORT

ORDERS and BOOKS are files of JSON lines; what is in BOOKS already is not sent again. A port is a TWS's.
"""

import itertools
import json
import sys
import urllib.request
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.brokers.sandbox_tws_client import TwsClient, TwsGone
from tests.faults.verdict import BookedOrder, Books

ANSWER_S = 2.0
CLIENT_ID = 7


def main(orders: Path, books: Path, *broker: str) -> None:
    """Place every order that is not in the books."""
    known = {line["name"] for line in _lines(books)}
    place = place_at_tws if len(broker) == 1 else place_at_alpaca
    with books.open("a") as book:
        for order in _lines(orders):
            if order["client_order_id"] not in known:
                answer = place(order, *broker)
                print(json.dumps({"name": order["client_order_id"], "answer": answer}), file=book, flush=True)


def read_books(path: Path, account: str) -> Books:
    """What the client believes, as the verdict wants it."""
    orders = [_booked(line["answer"], account) for line in _lines(path)]
    return Books(orders=tuple(orders), asked=frozenset(order.client_order_id for order in orders))


def place_at_alpaca(order: Mapping[str, Any], url: str, key: str, secret: str) -> dict[str, Any]:
    """Send the order until there is an answer, each time under a new id, as the broker wants."""
    keys = {"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret}
    for attempt in itertools.count():
        body = {**order, "client_order_id": f"{order['client_order_id']}~{attempt}"}
        request = urllib.request.Request(f"{url}/v2/orders", json.dumps(body).encode(), keys)
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
                return json.loads(answer.read())
        except OSError:
            continue
    raise AssertionError


def place_at_tws(order: Mapping[str, Any], port: str) -> dict[str, Any]:
    """The same at a TWS, which wants a new order id each time."""
    terms = {"lmtPrice": order["limit_price"], "tif": "GTC"}
    for attempt in itertools.count():
        name = f"{order['client_order_id']}~{attempt}"
        try:
            with TwsClient(int(port), CLIENT_ID) as client:
                client.socket.settimeout(ANSWER_S)
                order_id = client.place(order["symbol"], "BUY", order["qty"], "LMT", orderRef=name, **terms)
                status = client.wait_for("order_status", lambda message, mine=str(order_id): message[1] == mine)
                return {"id": status[6], "client_order_id": name, "qty": order["qty"]} | {
                    "limit_price": order["limit_price"]
                }
        except (OSError, TwsGone):
            continue
    raise AssertionError


def _booked(raw: Mapping[str, Any], account: str) -> BookedOrder:
    return BookedOrder(
        client_order_id=raw["client_order_id"],
        broker_name=account,
        broker_order_id=raw["id"],
        status="new",
        cum_qty=Decimal(0),
        order_qty=Decimal(raw["qty"]),
        price=Decimal(raw["limit_price"]),
    )


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
