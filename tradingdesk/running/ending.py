"""A deadline for this process's own end."""

import logging
import os
import signal
import threading

log = logging.getLogger(__name__)


def end_within(seconds: float) -> None:
    """Kill this process after so long, if it is still there: with all that it started, where it leads its group."""
    timer = threading.Timer(seconds, _kill)
    timer.daemon = True
    timer.start()


def _kill() -> None:
    log.error("told to end and still here; killing what is left")
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
