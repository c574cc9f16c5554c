"""What the desk has done now and then for itself; the schedule names these tasks and their arguments."""

import logging
from pathlib import Path

from celery import shared_task
from celery.signals import task_postrun
from django.conf import settings
from django.db import connections
from django.utils import timezone

from tradingdesk.audit import trail
from tradingdesk.backup.make import SCHEDULED, back_up
from tradingdesk.backup.retention import prune
from tradingdesk.errors import DeskError

log = logging.getLogger(__name__)

BACKUP = "system:backup"


@shared_task(name="tradingdesk.tasks.back_up_desk")
def back_up_desk(to: str = "", keep_days: int = 14, keep_at_least: int = 3) -> None:
    """Back the desk up into a folder, and remove scheduled backups there that are older than so many days.

    The newest few stay however old they are. What fails is in the log and in the trail, and removes nothing.
    """
    folder = Path(to) if to else settings.DESK_BACKUP_DIR
    try:
        bundle = back_up(folder, actor=BACKUP, name=SCHEDULED, say=log.debug)
    except DeskError as error:
        log.error("no backup was made: %s", error)
        trail.record(trail.event("backup.failed", actor=BACKUP, entity="backup", reason=str(error)))
        return
    log.info("backup %s", bundle.path)
    prune(folder, now=timezone.now(), keep_days=keep_days, keep_at_least=keep_at_least, actor=BACKUP)


@task_postrun.connect
def leave_lost_connections(**_signal) -> None:
    """After a task that met a database error, close connections that are dead: the next one makes its own.

    Celery keeps them for a hundred tasks (CELERY_DB_REUSE_MAX), of which each would fail after a failover.
    """
    for database in connections.all(initialized_only=True):
        if database.errors_occurred:
            database.close_if_unusable_or_obsolete()
