"""The embedded desk's parts: web, worker and beat, each a thread of one process."""

import logging
import threading
import time
from collections.abc import Iterable

from celery import signals
from celery.beat import Service
from celery.worker import WorkController
from celery.worker import state as worker_state
from django.conf import settings
from django.db import connections
from waitress import create_server, wasyncore

from tradingdesk.celery import app
from tradingdesk.wsgi import application

log = logging.getLogger(__name__)

WEB_THREADS = 8
WORKER_THREADS = 16
START_SECONDS = 30.0
REQUEST_SECONDS = 5
LARGEST_BODY = 10 * 1024 * 1024


class PartFailed(Exception):
    """A part of the desk did not start, or ended by itself."""


class Part:
    """Something that runs in a thread until it is told to stop."""

    name = ""

    def __init__(self):
        self.thread = threading.Thread(target=self._run, name=self.name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self.thread.start()

    def check(self) -> None:
        """Raise PartFailed when the thread has ended by itself."""
        if not self.thread.is_alive():
            raise PartFailed(f"the {self.name} thread ended")

    def stop(self) -> None:
        """Ask the thread to end, once it has done what it is at."""
        raise NotImplementedError

    def join(self, deadline: float) -> bool:
        """Wait for its end until the deadline (monotonic); whether it came."""
        if self.thread.ident is not None:
            self.thread.join(max(deadline - time.monotonic(), 0.0))
        return not self.thread.is_alive()

    def serve(self) -> None:
        """Do the work, in the thread."""
        raise NotImplementedError

    def _run(self) -> None:
        app.set_current()
        try:
            self.serve()
        except Exception:
            log.exception("the %s thread failed", self.name)
        finally:
            connections.close_all()


class Web(Part):
    """Waitress. It holds its address from the start, and answers from `start` on."""

    name = "web"

    def __init__(self, host: str, port: int):
        """Take the address. Raises OSError when somebody else has it."""
        super().__init__()
        self._stopping = threading.Event()
        self.server = create_server(
            application,
            host=host,
            port=port,
            threads=WEB_THREADS,
            ident=None,
            max_request_body_size=LARGEST_BODY,
            clear_untrusted_proxy_headers=True,
        )

    @property
    def port(self) -> int:
        """The port that it has."""
        return int(self.server.effective_port)

    def serve(self) -> None:
        """See `Part.serve`."""
        while not self._stopping.is_set():
            wasyncore.loop(timeout=1.0, use_poll=True, map=self.server._map, count=1)
        self.close()

    def stop(self) -> None:
        """See `Part.stop`."""
        self._stopping.set()
        self.server.pull_trigger()

    def close(self) -> None:
        """Take no more requests, let those at work end, and hang up."""
        self.server.task_dispatcher.shutdown(timeout=REQUEST_SECONDS)
        wasyncore.loop(timeout=0.05, use_poll=True, map=self.server._map, count=2)
        wasyncore.close_all(self.server._map, ignore_all=True)


class Worker(Part):
    """A Celery worker of threads."""

    name = "worker"

    def __init__(self, queues: Iterable[str]):
        super().__init__()
        self.queues = list(queues)
        self.ready = threading.Event()

    def start(self) -> None:
        """See `Part.start`."""
        worker_state.should_stop = None  # here, as it may be told to stop before the thread has begun
        super().start()

    def serve(self) -> None:
        """See `Part.serve`."""
        controller = _Controller(
            app=app,
            hostname="desk@embedded",
            pool_cls="threads",
            concurrency=WORKER_THREADS,
            # The rows are the queue: holding every wake-up costs nothing, and none waits for another's end.
            prefetch_multiplier=0,
            queues=self.queues,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        controller.ready = self.ready
        controller.start()

    def wait_until_ready(self) -> None:
        """Wait until it takes messages. Raises PartFailed."""
        if not self.ready.wait(START_SECONDS):
            raise PartFailed(f"the worker is not ready after {START_SECONDS:.0f} s")

    def stop(self) -> None:
        """See `Part.stop`."""
        worker_state.should_stop = 0


class Beat(Part):
    """Celery's beat, by the schedules in the database."""

    name = "beat"

    def __init__(self):
        super().__init__()
        self.service = Service(app, max_interval=1, scheduler_cls=settings.CELERY_BEAT_SCHEDULER)

    def serve(self) -> None:
        """See `Part.serve`."""
        self.service.start()

    def stop(self) -> None:
        """See `Part.stop`."""
        self.service.stop()


class _Controller(WorkController):
    """The worker, which itself sends everything but `worker_ready`."""

    ready: threading.Event

    def on_consumer_ready(self, consumer) -> None:
        signals.worker_ready.send(sender=consumer)
        self.ready.set()
