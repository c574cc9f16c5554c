"""Which accounts a worker serves, and when it begins to."""

from types import SimpleNamespace

import pytest

from brokers.models import BrokerAccount
from orders import serving
from orders.serving import Service
from tests.factories import BrokerAccountFactory
from tradingdesk.queues import BROKERS_QUEUE, DESK_QUEUE

pytestmark = pytest.mark.django_db


class Consumer:
    """Celery's consumer, as far as a service knows it."""

    def __init__(self, *queues: str):
        self.task_consumer = SimpleNamespace(queues=[SimpleNamespace(name=name) for name in queues])
        self.added: list[str] = []

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
