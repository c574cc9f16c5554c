"""The sandbox's TWS writes its messages with the fields of a real one's, as a recording has them."""

from __future__ import annotations

import json

import pytest

from brokers.sandbox.tws.layouts import COMPLETED_ORDER, OPEN_ORDER
from tests.brokers.tws_captures import CAPTURES

AFTER_164 = 5  # openOrder and completedOrder have five fields more at version 170 than in the recording


def test_recorded_messages_have_the_fields_of_ours():
    recording = CAPTURES / "rust_ibapi_captured_orders.json"
    if not recording.exists():
        pytest.skip(f"no recording at {recording}")
    layouts = {"5": (OPEN_ORDER, 2), "101": (COMPLETED_ORDER, 1)}
    compared = 0
    for message in json.loads(recording.read_text(encoding="utf-8"))["messages"]:
        number, *fields = message["raw"].split("|")
        if number in layouts:
            layout, surplus = layouts[number]
            names = list(layout.defaults)[:-AFTER_164]
            recorded = dict(zip(names, fields[:-surplus], strict=True))
            unset = {name for name, value in layout.defaults.items() if value and not recorded.get(name, value)}
            assert not unset
            assert recorded["status"] in ("PreSubmitted", "Filled")
            compared += 1
    assert compared == 5
