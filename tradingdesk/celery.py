"""The desk's Celery application; its messages only wake workers up."""

import os
import sys
from itertools import pairwise

from celery import Celery
from celery.signals import worker_shutting_down

from tradingdesk.running.ending import end_within

# Longer than any task of the desk takes, and than what started the worker waits for it.
END_WITHIN = 60.0


def _runs_threads(argv: list[str]) -> bool:
    """Tell whether this is `celery worker --pool threads` (any spelling of the option)."""
    words = " ".join(argv).replace("=", " ").split()
    return any(a in ("-P", "--pool") and b == "threads" for a, b in pairwise(words))


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingdesk.settings")
if _runs_threads(sys.argv):
    os.environ.setdefault("DESK_DB_POOL", "1")

app = Celery("tradingdesk")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_shutting_down.connect
def end_in_time(**kwargs) -> None:
    """See that a worker that was told to end does, where nobody is left to kill it: a pool may wait for ever."""
    end_within(END_WITHIN)
