"""Letting a desk come to rest beside a venue that stands still, and comparing the two."""

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from tests.brokers.sandbox_process import SandboxProcess
from tests.brokers.sandbox_records import is_shown_as, records
from tests.environment import ROOT
from tests.flows.running_desk import RunningDesk, eventually

SETTLE_S = 90.0
COMPARE_S = 60.0
OPEN_HERE = {"pending", "new", "partially_filled", "pending_cancel", "pending_replace"}


def settle(desk: RunningDesk, sandbox: SandboxProcess) -> None:
    """Stop the market, and wait until the desk knows everything that happened."""
    sandbox.admin.clear()
    sandbox.admin.pause()
    try:
        eventually(lambda: not behind(desk, sandbox), "the desk has caught up", SETTLE_S)
    except AssertionError:
        raise AssertionError(f"not within {SETTLE_S} s:\n" + "\n".join(told(desk, sandbox))) from None


def behind(desk: RunningDesk, sandbox: SandboxProcess) -> list[str]:
    """Orders that the desk still has to learn about, or is in doubt about."""
    venue = {raw["id"]: raw for record in records(sandbox).values() for raw in record["orders"]}
    found = []
    for order in desk.all("/api/v1/orders/"):
        raw = venue.get(order["broker_order_id"])
        if order["outcome_unknown"] or (raw is None and order["status"] in OPEN_HERE):
            found.append(f"{order['client_order_id']}: {order['status']}, unknown there")
        elif raw is not None and (raw["replaced_by"] or not _same(order, raw)):
            found.append(f"{order['client_order_id']}: {order['status']} here, {raw['status']} there")
    return found


def told(desk: RunningDesk, sandbox: SandboxProcess) -> list[str]:
    """All that either side says of the orders on which they differ."""
    lines = behind(desk, sandbox)
    for name in [line.partition(":")[0] for line in lines]:
        lines.append(json.dumps(desk.order(name), indent=1))
        lines += [f"  {event}" for event in desk.all(f"/api/v1/audit/events/?client_order_id={name}")]
        there = [raw for record in records(sandbox).values() for raw in record["orders"]]
        number = desk.order(name)["broker_order_id"]
        lines += [f"  there: {raw}" for raw in there if name == raw["client_order_id"] or raw["id"] == number]
    return lines


def compare(sandbox: SandboxProcess, env: Mapping[str, str]) -> dict[str, Any]:
    """Compare the venue's record with the desk's database; no disagreement is asserted, the counts are given."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.flows"],
        cwd=ROOT,
        env=dict(env),
        input=json.dumps(records(sandbox)),
        capture_output=True,
        text=True,
        timeout=COMPARE_S,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert not found["disagreements"], "\n".join(found["disagreements"])
    return found


def _same(order: Mapping[str, Any], raw: Mapping[str, Any]) -> bool:
    return is_shown_as(raw, order["status"]) and order["cum_qty"] == raw["filled_qty"]
