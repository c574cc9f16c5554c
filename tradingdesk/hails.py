"""Calling to whoever serves a queue right now, past the queue: for wake-ups of which there are many.

A hail on Redis's publish and subscribe asks less of its worker than a Celery message does. Nothing keeps a hail: its
caller is told whether anybody listened, and sends a message where nobody did. One that is lost with its listener is as
a message lost with its worker, for the sweeper to find.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from functools import cache

from django.conf import settings
from redis import Redis, RedisError

log = logging.getLogger(__name__)

TIMEOUT = 2.0
LOOK_EVERY = 0.5


def hail(queue: str, word: str) -> bool:
    """Say a word to who listens at a queue; False where nobody does, or Redis cannot be asked."""
    if not settings.REDIS_URL:
        return False
    try:
        return bool(_redis().publish(_channel(queue), word))
    except (RedisError, OSError):
        return False


class Listener:
    """Hears the hails of some queues, in a thread of its own; `heard` gets queue and word, and must not wait."""

    def __init__(self, heard: Callable[[str, str], None]):
        self._heard = heard
        self._wanted: dict[str, str] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hails", daemon=True)

    def start(self) -> None:
        """Begin to listen, where there is a Redis."""
        if settings.REDIS_URL:
            self._thread.start()

    def listen(self, queues: Iterable[str]) -> None:
        """Listen at these queues, and no others, from within half a second on."""
        self._wanted = {_channel(queue): queue for queue in queues} if settings.REDIS_URL else {}

    def stop(self) -> None:
        """Hear nothing more, from within half a second on."""
        self._stopping.set()

    def join(self, seconds: float) -> None:
        """Wait until the thread has ended."""
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with _redis().pubsub(ignore_subscribe_messages=True) as subscribed:
                    self._hear(subscribed)
            except (RedisError, OSError) as error:
                log.warning("hails are not heard for now: %s", error)
                self._stopping.wait(TIMEOUT)

    def _hear(self, subscribed) -> None:
        at: set[str] = set()
        while not self._stopping.is_set():
            wanted = self._wanted
            if new := wanted.keys() - at:
                subscribed.subscribe(*new)
            if old := at - wanted.keys():
                subscribed.unsubscribe(*old)
            at = set(wanted)
            if not at:
                self._stopping.wait(LOOK_EVERY)
                continue
            message = subscribed.get_message(timeout=LOOK_EVERY)
            if message and (queue := wanted.get(message["channel"])):
                self._heard(queue, message["data"])


@cache
def _redis() -> Redis:
    return Redis.from_url(
        settings.REDIS_URL, decode_responses=True, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT
    )


def _channel(queue: str) -> str:
    """Channels are of the whole server: name the database too, as queues are each database's own."""
    return f"{_redis().connection_pool.connection_kwargs.get('db', 0)}:{queue}"
