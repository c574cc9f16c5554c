"""Which accounts a worker serves: those whose queues it was started with; with the queue `brokers` all, also new ones.

An account that is added or enabled while the desk runs gets its queue and its stream within moments. Of the accounts
that this process holds it also hears hails (`tradingdesk.hails`), and does what they ask in Celery's own threads.
"""

import logging
import threading
from collections.abc import Iterable

from django.db import DatabaseError, connection

from brokers import lease
from brokers.models import BrokerAccount
from orders import sending, wakeups
from orders.models import OrderRequest
from orders.streaming import keep_streams
from tradingdesk.hails import Listener
from tradingdesk.queues import BROKERS_QUEUE, broker_queue
from tradingdesk.tasks import leave_lost_connections

log = logging.getLogger(__name__)

LOOK_EVERY = 2.0
STOP_SECONDS = 5.0
TAKEN_OVER_AT_MOST = 500
# More wait as messages: a worker that is told to end does what it has taken first.
HAILS_AT_MOST = 200


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
        self._listener = Listener(self._hear)
        self._room = threading.BoundedSemaphore(HAILS_AT_MOST)

    @property
    def is_needed(self) -> bool:
        """Whether this is a brokers' worker at all."""
        return self._serves_all or bool(self._queues)

    def start(self) -> None:
        """Begin with what an earlier worker left behind, and look for new accounts from now on."""
        self.look()
        take_over(queue.removeprefix(broker_queue("")) for queue in self._queues)
        self._thread.start()
        self._listener.start()

    def fall_silent(self) -> None:
        """Hear no hails any more: whoever calls sends a message, which waits for the next worker."""
        self._listener.stop()

    def stop(self) -> None:
        """Begin nothing new any more."""
        self.fall_silent()
        self._stopping.set()
        self._listener.join(STOP_SECONDS)
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
        held = {broker_queue(name) for name in lease.held_here()}
        self._listener.listen(held & self._queues)

    def _hear(self, queue: str, word: str) -> None:
        """Have a request that was called out sent, or asked about, by a thread of the worker."""
        try:
            request_pk = int(word)
        except ValueError:
            log.warning("%s: a hail that names no request is passed over", queue)
            return
        if self._room.acquire(blocking=False):
            try:
                self._consumer.pool.executor.submit(self._bring_forward, request_pk)
                return
            except RuntimeError:  # the pool takes nothing more: the worker ends
                self._room.release()
        wakeups.wake(wakeups.SEND_REQUEST, request_pk, queue=queue)

    def _bring_forward(self, request_pk: int) -> None:
        try:
            sending.send_request(request_pk)
        except Exception:
            log.exception("request %s could not be brought forward: the sweeper tries again", request_pk)
        finally:
            leave_lost_connections()
            self._room.release()

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
