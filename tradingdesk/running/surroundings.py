"""Variables that a running desk sets for itself, shared with commands that people type beside it.

The embedded desk's sandbox brokers have another address at each start, which `place_order` in another shell
has to know, too. The desk writes its variables to a file (mode 0600, dummy keys only), and settings read it.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path

FILE = "surroundings.json"

_adopted: set[str] = set()


class Surroundings:
    """What this desk sets for itself and tells others of."""

    def __init__(self, data: Path):
        """Begin with nothing, forgetting also what an earlier desk told this process."""
        self.path = data / FILE
        self.values: dict[str, str] = {}
        for name in _adopted:
            os.environ.pop(name, None)
        self.forget()

    def share(self, values: Mapping[str, str]) -> None:
        """Set variables for this process and its children, and tell commands beside it."""
        os.environ.update(values)
        self.values.update(values)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(self.values, file)

    def forget(self) -> None:
        """Tell nobody any more."""
        self.path.unlink(missing_ok=True)


def adopt(data: Path) -> None:
    """Take over what the desk on this data folder told, but for variables that are set here."""
    try:
        told = json.loads((data / FILE).read_text())
    except (OSError, ValueError):
        return
    for name, value in told.items():
        if name not in os.environ:
            os.environ[name] = value
            _adopted.add(name)
