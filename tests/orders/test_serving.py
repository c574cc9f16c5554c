"""Which accounts a worker serves, and when it begins to."""

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from brokers import lease
from brokers.models import BrokerAccount
from orders import sending, serving, wakeups
from orders.serving import Service
from tests.factories import BrokerAccountFactory
from tradingdesk.queues import BROKERS_QUEUE, DESK_QUEUE

pytestmark = pytest.mark.django_db


class Consumer:
    """Celery's consumer, as far as a service knows it."""

    def __init__(self, *queues: str):
        self.task_consumer = SimpleNamespace(queues=[SimpleNamespace(name=name) for name in queues])
        self.added: list[str] = []
        self.pool = SimpleNamespace(executor=ThreadPoolExecutor(2))

    def call_soon(self, then, *args):
        then(*args)

    def add_task_queue(self, queue: str):
        self.added.append(queue)


@pytest.fixture
def streams(monkeypatch) -> list[str]:
    kept: list[str] = []
    monkeypatch.setattr(serving, "keep_streams", kept.extend)
    return kept


@pytest.fixture(autouse=True)
def _accounts():
    BrokerAccountFactory()
    BrokerAccountFactory(broker_name="alpaca_margin", enabled=False)


def test_worker_of_all_accounts_serves_new_ones_and_streams_those_that_are_enabled(streams):
    consumer = Consumer(BROKERS_QUEUE, DESK_QUEUE, "broker.alpaca")
    service = Service(consumer)
    service.look()
    assert (consumer.added, streams) == (["broker.alpaca_margin"], ["alpaca"])

    BrokerAccountFactory(broker_name="new")
    BrokerAccount.objects.update(enabled=True)
    for _ in range(2):
        service.look()
    assert (consumer.added, streams) == (["broker.alpaca_margin", "broker.new"], ["alpaca", "alpaca_margin", "new"])


def test_worker_of_some_accounts_keeps_to_them(streams):
    consumer = Consumer("broker.alpaca_margin")
    service = Service(consumer)
    service.look()
    assert (consumer.added, streams) == ([], [])

    BrokerAccountFactory(broker_name="new")
    BrokerAccount.objects.update(enabled=True)
    service.look()
    assert (consumer.added, streams) == ([], ["alpaca_margin"])


def test_worker_of_no_account_serves_none():
    assert not Service(Consumer(DESK_QUEUE)).is_needed
    assert Service(Consumer(BROKERS_QUEUE)).is_needed


@pytest.fixture
def forwarded(monkeypatch) -> list[int]:
    """The requests that were brought forward."""
    brought: list[int] = []
    monkeypatch.setattr(sending, "send_request", brought.append)
    return brought


def test_hail_has_its_request_brought_forward_by_the_workers_threads(forwarded, wakings):
    consumer = Consumer("broker.alpaca")
    service = Service(consumer)
    for word in ("7", "8"):
        service._hear("broker.alpaca", word)
    consumer.pool.executor.shutdown(wait=True)
    assert (sorted(forwarded), wakings.sent) == ([7, 8], [])


def test_hail_that_finds_the_pool_ended_or_full_becomes_a_message(forwarded, wakings, monkeypatch):
    ended = Consumer("broker.alpaca")
    ended.pool.executor.shutdown()
    Service(ended)._hear("broker.alpaca", "7")

    monkeypatch.setattr(serving, "HAILS_AT_MOST", 0)
    Service(Consumer("broker.alpaca"))._hear("broker.alpaca", "8")

    assert wakings.of(wakeups.SEND_REQUEST) == [(7, "broker.alpaca"), (8, "broker.alpaca")]
    assert forwarded == []


def test_hail_that_names_no_request_is_passed_over(forwarded, wakings):
    consumer = Consumer("broker.alpaca")
    service = Service(consumer)
    for word in ("", "seven", "7.5", "9" * 5000, "7"):
        service._hear("broker.alpaca", word)
    consumer.pool.executor.shutdown(wait=True)
    assert (forwarded, wakings.sent) == ([7], [])


def test_failure_of_a_request_leaves_room_for_the_next(wakings, monkeypatch):
    monkeypatch.setattr(serving, "HAILS_AT_MOST", 1)
    monkeypatch.setattr(sending, "send_request", lambda pk: 1 / 0)
    service = Service(Consumer("broker.alpaca"))
    for _ in range(3):
        service._bring_forward(7) if service._room.acquire(blocking=False) else pytest.fail("no room is left")
    assert wakings.sent == []


def test_hails_are_heard_for_accounts_that_this_process_holds(streams, monkeypatch):
    at: list[set] = []
    service = Service(Consumer("broker.alpaca", "broker.alpaca_margin"))
    monkeypatch.setattr(service._listener, "listen", lambda queues: at.append(set(queues)))
    service.look()
    assert lease.take("alpaca")
    service.look()
    lease.give_back("alpaca")
    service.look()
    assert at == [set(), {"broker.alpaca"}, set()]
