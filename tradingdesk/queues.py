"""Where wake-ups wait: the message queue's names, and the queue of the desk that needs no server."""

from pathlib import Path

DESK_QUEUE = "desk"
# Holds no messages: a worker that listens to it serves every account, also those that are added later.
BROKERS_QUEUE = "brokers"


def broker_queue(broker_name: str) -> str:
    """Name the queue that one account's worker listens to."""
    return f"broker.{broker_name}"


def file_transport(folder: Path) -> dict:
    """Options of the transport on files (`tradingdesk.file_queue`): where, and how often a worker looks."""
    return {"folder": str(folder), "polling_interval": 0.02}
