"""Where wake-ups wait: the message queue's names and the file-system transport of the embedded desk."""

from pathlib import Path

DESK_QUEUE = "desk"


def broker_queue(broker_name: str) -> str:
    """Name the queue that one account's worker listens to."""
    return f"broker.{broker_name}"


def filesystem_transport(folder: Path) -> dict:
    """Make the folders of kombu's filesystem transport; its options.

    Both data folders are the same one, so every process sees every message.
    """
    messages, control = folder / "messages", folder / "control"
    for path in (messages, control):
        path.mkdir(parents=True, exist_ok=True)
    return {
        "data_folder_in": str(messages),
        "data_folder_out": str(messages),
        "processed_folder": str(folder / "processed"),
        "control_folder": str(control),
        "store_processed": False,
        "polling_interval": 0.02,
    }
