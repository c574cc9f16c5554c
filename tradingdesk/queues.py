"""Where wake-ups wait: the message queue's names, and the queue of the desk that needs no server."""

from pathlib import Path

DESK_QUEUE = "desk"


def broker_queue(broker_name: str) -> str:
    """Name the queue that one account's worker listens to."""
    return f"broker.{broker_name}"


def file_transport(folder: Path) -> dict:
    """Options of the transport on files (`tradingdesk.file_queue`): where, and how often a worker looks."""
    return {"folder": str(folder), "polling_interval": 0.02}
