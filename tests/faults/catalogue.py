"""What can go wrong, by kind of broker: faults of requests, of streams, things done at the venue, and kills."""

from dataclasses import dataclass, field
from typing import Any

from tests.faults.accounts import READ_TIMEOUT_S

LATE = READ_TIMEOUT_S + 1.0
WRITES = ("new_order", "cancel_order", "replace_order")
READS = ("find_order", "get_order", "list_orders", "activities", "positions", "account")
TWS_READS = ("all_open_orders", "completed_orders", "executions", "positions", "account_summary")
PARTS = ("brokers", "web", "worker", "beat")
POINTS = ("request_received", "before_answer", "after_answer")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to order from the venue for the next request (or message of a stream) that fits."""

    name: str
    operation: str
    action: str
    when: str = "after"
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill. `at` is a hold's point, `before` or `after` a commit, or empty for any moment."""

    part: str
    at: str = ""
    operation: str = ""

    @property
    def name(self) -> str:
        """What it is called in the report."""
        return " ".join(["kill", self.part, *filter(None, (self.at, self.operation))])


SEND_FAULTS = (
    ("accepted, then dropped", "drop", "after", {}),
    ("dropped before", "drop", "before", {}),
    ("accepted, answered too late", "delay", "after", {"seconds": LATE}),
    ("arrives too late", "delay", "before", {"seconds": LATE}),
    ("429", "error", "before", {"status": 429}),
    ("500 before", "error", "before", {"status": 500}),
    ("500, accepted", "error", "after", {"status": 500}),
    ("504 before", "error", "before", {"status": 504}),
    ("504, accepted", "error", "after", {"status": 504}),
    ("disconnect before", "disconnect", "before", {}),
    ("disconnect, accepted", "disconnect", "after", {}),
    ("arrives twice", "echo", "after", {}),
)
READ_FAULTS = (
    ("dropped", "drop", "before", {}),
    ("too late", "delay", "after", {"seconds": LATE}),
    ("500", "error", "before", {"status": 500}),
    ("504", "error", "before", {"status": 504}),
    ("429", "error", "before", {"status": 429}),
    ("disconnect", "disconnect", "before", {}),
)
NO_JSON = ("no JSON", "error", "before", {"status": 200, "body": '{"half": '})
NO_END = ("without an end", "no_end", "before", {})
REQUEST_FAULTS = {
    "alpaca": (
        *(Fault(f"{op}: {name}", op, act, when, more) for op in WRITES for name, act, when, more in SEND_FAULTS),
        *(
            Fault(f"{op}: {name}", op, act, when, more)
            for op in READS
            for name, act, when, more in (*READ_FAULTS, NO_JSON)
        ),
        *[Fault("activities: every fill listed twice", "activities", "duplicate")] * 4,
    ),
    "interactive_brokers": (
        *(Fault(f"tws {op}: {name}", op, act, when, more) for op in WRITES for name, act, when, more in SEND_FAULTS),
        *(
            Fault(f"tws {op}: {name}", op, act, when, more)
            for op in TWS_READS
            for name, act, when, more in (*READ_FAULTS, NO_END)
        ),
        *[Fault("tws executions: every execution told twice", "executions", "duplicate")] * 4,
        Fault("tws start_api: dropped", "start_api", "drop", "before"),
        Fault("tws start_api: client id in use", "start_api", "error", "before", {"status": 326}),
    ),
}
EVENTS = {
    "alpaca": ("fill", "partial_fill", "new", "canceled", "replaced"),
    "interactive_brokers": ("execution", "execution", "commission", "order_status", "open_order", "error"),
}
STREAM_FAULTS = {
    kind: tuple(
        Fault(f"stream, {event}: {action}", event, action, more={"seconds": 1.0} if action == "delay" else {})
        for event in events
        for action in ("drop", "duplicate", "delay", "swap", "disconnect", "malformed")
    )
    for kind, events in EVENTS.items()
}
# What somebody does at the venue without being asked by the desk.
DEEDS = (
    *("cancelled unasked", "filled in part by hand", "filled by hand", "rejected after acceptance", "expired"),
    *("suspended and resumed", "done for the day", "placed by hand", "all connections cut"),
)
# Told again and changed only on the stream, or by an adapter that reads them back.
AMENDMENTS = ("trade busted", "trade corrected")

KILLS = (
    *(Kill("brokers", point, "new_order") for point in POINTS),
    Kill("brokers", "before"),
    Kill("brokers", "after"),
    Kill("web", "before"),
    Kill("web", "after"),
    *(Kill("brokers", point, "cancel_order") for point in POINTS),
    *(Kill("brokers", point, "replace_order") for point in POINTS),
    *(Kill(part) for part in PARTS),
    Kill("venue"),
)
