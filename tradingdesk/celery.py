"""The desk's Celery application; its messages only wake workers up."""

import os
import sys
from itertools import pairwise

from celery import Celery


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
