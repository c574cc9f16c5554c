"""The desk as separate processes, on a database server and a message broker: their command lines."""

import os
import sys
from collections.abc import Iterable
from importlib.util import find_spec

from django.conf import settings

from tradingdesk.queues import DESK_QUEUE
from tradingdesk.running.children import Child

WEB_THREADS = 4
BROKER_THREADS = 8
DESK_PROCESSES = 2
MOST_WEB_PROCESSES = 4
QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat")


def desk_processes(host: str, port: int, queues: Iterable[str]) -> list[Child]:
    """Web, a worker of processes for the desk's queue, one of threads for the accounts' queues, and beat."""
    pool, no_pool = {"DESK_DB_POOL": "1"}, {"DESK_DB_POOL": "0"}
    return [
        Child("web", web_command(host, port), env=pool),
        Child("worker", worker_command("desk", [DESK_QUEUE], pool="prefork", slots=DESK_PROCESSES), env=no_pool),
        Child("brokers' worker", worker_command("brokers", queues, pool="threads", slots=BROKER_THREADS), env=pool),
        Child("beat", beat_command(), env=no_pool),
    ]


def web_command(host: str, port: int) -> list[str]:
    """Gunicorn where it is installed, else waitress."""
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if find_spec("gunicorn") is None:
        options = [f"--listen={address}", f"--threads={WEB_THREADS}"]
        return _python("waitress", *options, "tradingdesk.wsgi:application")
    workers = min(os.cpu_count() or 1, MOST_WEB_PROCESSES)
    options = ["--bind", address, "--workers", str(workers), "--threads", str(WEB_THREADS)]
    quiet = ["--graceful-timeout", "10", "--log-level", "warning"]
    return _python("gunicorn", *options, *quiet, "tradingdesk.wsgi:application")


def worker_command(name: str, queues: Iterable[str], *, pool: str, slots: int) -> list[str]:
    """A Celery worker on queues."""
    options = ["--pool", pool, "--concurrency", str(slots), "--hostname", f"{name}@%h", "--loglevel", "WARNING"]
    return _celery("worker", "--queues", ",".join(queues), *options, *QUIET)


def beat_command() -> list[str]:
    """Celery's beat, by the schedules in the database."""
    options = ["--scheduler", settings.CELERY_BEAT_SCHEDULER, "--pidfile", "", "--loglevel", "WARNING"]
    return _celery("beat", *options)


def _celery(*arguments: str) -> list[str]:
    return _python("celery", "--app", "tradingdesk", "--quiet", *arguments)


def _python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]
