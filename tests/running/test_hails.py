"""Hails over a real Redis: who listens hears, and a caller knows whether anybody did."""

import queue
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.waiting import eventually
from tradingdesk import hails

pytestmark = [pytest.mark.server, pytest.mark.slow]


class Ear(NamedTuple):
    """A listener, and what it has heard."""

    listener: hails.Listener
    words: queue.Queue


@pytest.fixture
def ear(own_redis_url, settings) -> Iterator[Ear]:
    """One that listens at `broker.alpaca`, within a moment."""
    settings.REDIS_URL = own_redis_url
    hails._redis.cache_clear()
    words: queue.Queue = queue.Queue()
    listener = hails.Listener(lambda *call: words.put(call))
    listener.listen(["broker.alpaca"])
    listener.start()
    yield Ear(listener, words)
    listener.stop()
    listener.join(5)
    hails._redis.cache_clear()


def test_listener_hears_a_hail_and_the_caller_knows(ear):
    eventually(lambda: hails.hail("broker.alpaca", "17"))
    assert ear.words.get(timeout=10) == ("broker.alpaca", "17")


def test_nobody_hears_a_hail_at_another_queue(ear):
    eventually(lambda: hails.hail("broker.alpaca", "1"))
    assert not hails.hail("broker.alpaca_margin", "2")


def test_listener_that_turns_to_another_queue_or_stops_is_not_counted_on(ear):
    eventually(lambda: hails.hail("broker.alpaca", "1"))
    ear.listener.listen(["broker.new"])
    eventually(lambda: hails.hail("broker.new", "2"))
    assert not hails.hail("broker.alpaca", "3")

    ear.listener.stop()
    ear.listener.join(5)
    assert not hails.hail("broker.new", "4")


def test_listener_that_lost_its_connection_hears_again(ear):
    eventually(lambda: hails.hail("broker.alpaca", "1"))
    hails._redis().execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    eventually(lambda: hails.hail("broker.alpaca", "2"))
    assert [ear.words.get(timeout=10)[1] for _ in range(2)] == ["1", "2"]


def test_hail_without_a_redis_that_answers_is_not_heard(settings):
    hails._redis.cache_clear()
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert not hails.hail("broker.alpaca", "1")
    settings.REDIS_URL = ""
    assert not hails.hail("broker.alpaca", "1")
    hails._redis.cache_clear()
