"""Hundreds of orders, changes and cancels at once: what the sandbox's TWS told is what it has."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from decimal import Decimal

import pytest

from tests.brokers.sandbox_process import start_sandbox
from tests.brokers.sandbox_tws_client import TwsClient

pytestmark = pytest.mark.slow

STEPS, SETTLE_S = 300, 30.0
ORDER_STATUS, EXECUTION, COMMISSION = "3", "11", "59"
DONE = ("Filled", "Cancelled", "Inactive")
SLOW = {
    "ack_delay_ms": 4,
    "cancel_delay_ms": 6,
    "partial_fill_probability": 0.5,
    "starting_cash": 50_000_000,
    "tws": {"max_messages_per_s": 10_000, "max_working_per_side": 500, "status_twice_probability": 0.2},
}


def act(client: TwsClient, chance: random.Random, placed: list[int]) -> None:
    """Place, change or cancel."""
    terms = {"lmtPrice": f"{chance.randint(17900, 18300) / 100}", "tif": chance.choice(["DAY", "GTC", "IOC"])}
    side, quantity = chance.choice(["BUY", "SELL"]), chance.randint(1, 400)
    what = chance.random()
    if what < 0.5 or not placed:
        placed.append(client.place("IBM", side, quantity, "LMT", orderRef=f"stress-{len(placed)}", **terms))
    elif what < 0.75:
        client.place("IBM", side, quantity, "LMT", order_id=chance.choice(placed), **terms)
    else:
        client.cancel(chance.choice(placed))


@pytest.mark.parametrize("seed", [1, 2])
def test_what_was_told_of_many_orders_is_what_tws_has(tmp_path, seed):
    chance, placed = random.Random(seed), []
    with start_sandbox(tmp_path, speed=0, accounts={"interactive_brokers": SLOW}) as sandbox:
        tws = sandbox.admin.tws()
        sandbox.admin.push_quote("IBM", "181.90", "182.00")
        with TwsClient(sandbox.tws_port(), 1) as client:
            for step in range(STEPS):
                act(client, chance, placed)
                if step % 10 == 0:
                    low = chance.randint(18000, 18200)
                    size = chance.randint(100, 900)
                    sandbox.admin.push_quote("IBM", low / 100, (low + 10) / 100, size, size)
            settle(client, tws)
        check(client, sandbox, tws)


def settle(client: TwsClient, tws) -> None:
    """Cancel what is left until nothing lives, and read all that is told until then."""
    deadline = time.monotonic() + SETTLE_S
    while [o for o in tws.orders() if o["status"] not in DONE]:
        assert time.monotonic() < deadline
        client.send(58, 1)
        client.sync()
    while len(messages(client, COMMISSION)) < len(messages(client, EXECUTION)):
        client.wait_for("commission")
    client.sync()


def messages(client: TwsClient, number: str) -> list[list[str]]:
    """All messages of a kind so far."""
    return [message for message in client.seen if message[0] == number]


def check(client: TwsClient, sandbox, tws) -> None:
    """Compare what the client was told, order by order, with TWS's own record and the venue's."""
    last = {m[1]: (m[2], m[3]) for m in messages(client, ORDER_STATUS)}
    executions = {m[14]: m for m in messages(client, EXECUTION)}
    assert len(executions) == len(messages(client, EXECUTION))
    filled = defaultdict(Decimal)
    for message in executions.values():
        filled[message[2]] += Decimal(message[19])
    orders = tws.orders()
    for order in orders:
        order_id = str(order["order_id"])
        assert last[order_id] == (order["status"], order["filled"]), order
        assert filled[order_id] == Decimal(order["filled"]), order
    record = sandbox.admin.record("interactive_brokers")
    bought = sum(Decimal(m[19]) * (1 if m[18] == "BOT" else -1) for m in executions.values())
    assert bought == Decimal(record["positions"].get("IBM", "0"))
    assert len(executions) == len(record["executions"]) > 20
    assert {m[2] for m in messages(client, COMMISSION)} == set(executions)
    assert len({order["perm_id"] for order in orders}) == len(orders) > 100
