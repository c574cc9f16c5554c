"""Who acts, where no one has logged in."""

import getpass
import os


def operator() -> str:
    """The person at the command line, by the system's word; a number where the system has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
