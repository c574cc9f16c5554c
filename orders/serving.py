"""Which accounts a worker serves: those whose queues it was started with; with the queue `brokers` all, also new ones.

An account that is added or enabled while the desk runs gets its queue and its stream within moments.
"""

import logging
import threading
from collections.abc import Iterable

from django.db import DatabaseError, connection

from brokers.models import BrokerAccount
from orders import wakeups
from orders.models import OrderRequest
from orders.streaming import keep_streams
from tradingdesk.queues import BROKERS_QUEUE, broker_queue

log = logging.getLogger(__name__)

LOOK_EVERY = 2.0
STOP_SECONDS = 5.0
TAKEN_OVER_AT_MOST = 500


class Service:
    """What one worker does for its accounts, from its start to its end. `consumer` is Celery's."""

    def __init__(self, consumer):
        self._consumer = consumer
        queues = {queue.name for queue in consumer.task_consumer.queues}
        self._queues = {name for name in queues if name.startswith(broker_queue(""))}
        self._serves_all = BROKERS_QUEUE in queues
        self._streams: set[str] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="accounts", daemon=True)

    @property
    def is_needed(self) -> bool:
        """Whether this is a brokers' worker at all."""
        return self._serves_all or bool(self._queues)

    def start(self) -> None:
        """Begin with what an earlier worker left behind, and look for new accounts from now on."""
        self.look()
        take_over(queue.removeprefix(broker_queue("")) for queue in self._queues)
        self._thread.start()

    def stop(self) -> None:
        """Begin nothing new any more."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)

    def look(self) -> None:
        """Take messages for accounts that are new, and keep the streams of those that were enabled since."""
        for name, enabled in BrokerAccount.objects.order_by("pk").values_list("pk", "enabled"):
            queue = broker_queue(name)
            if self._serves_all and queue not in self._queues:
                self._queues.add(queue)
                self._consumer.call_soon(self._consumer.add_task_queue, queue)
                log.info("%s: served from now on", name)
            if enabled and queue in self._queues and name not in self._streams:
                self._streams.add(name)
                keep_streams([name])

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_EVERY):
            try:
                self.look()
            except DatabaseError as error:
                log.warning("accounts cannot be looked up: %s", error)
            finally:
                connection.close()


def take_over(broker_names: Iterable[str]) -> None:
    """Ask about everything that an earlier worker of these accounts left unanswered."""
    left = OrderRequest.objects.unanswered().filter(broker_name__in=list(broker_names)).order_by("id")
    for request in left[:TAKEN_OVER_AT_MOST]:
        wakeups.send_soon(request)
