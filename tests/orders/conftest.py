"""What the stage tests share: a desk with fresh rules, and the wake-ups that would have gone out."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from brokers.adapters.alpaca.adapter import Adapter
from orders import sending, sync, wakeups
from orders.models import Order
from orders.reconcile import reading
from orders.reconcile.run import reconcile_account
from risk.rulebook import forget
from tests.factories import trading_desk
from tests.orders.desk import Counterparty, roomy_desk, sent, submit
from tests.orders.scripted_gateway import ScriptedGateway
from tests.orders.venue import Venue


@dataclass
class Wakings:
    """The wake-ups that were sent, oldest first: (task, first argument, queue)."""

    sent: list[tuple] = field(default_factory=list)

    def __call__(self, task: str, *args, queue: str, **timing) -> None:
        self.sent.append((task, args[0], queue))

    def of(self, task: str) -> list[tuple]:
        return [(argument, queue) for name, argument, queue in self.sent if name == task]


@pytest.fixture
def wakings(monkeypatch) -> Wakings:
    """Instead of waking workers, keep whom it would have woken."""
    kept = Wakings()
    monkeypatch.setattr(wakeups, "wake", kept)
    return kept


@pytest.fixture
def desk(db):
    """Two accounts, half of the capital each, that trade IBM and BAC."""
    forget()
    yield trading_desk()
    forget()


@pytest.fixture
def traded(desk) -> None:
    """The desk, once it has traded: this process knows its rules."""
    submit()


@pytest.fixture
def gateway(monkeypatch) -> ScriptedGateway:
    """The worker's only way to the broker."""
    scripted = ScriptedGateway()
    monkeypatch.setattr(sending, "gateway_for", lambda account: scripted)
    return scripted


@pytest.fixture
def order(db, wakings) -> Order:
    """A limit order to buy 100 IBM that waits in the outbox."""
    roomy_desk("alpaca")
    return submit(client_order_id="X")


@pytest.fixture
def venue(desk, wakings, monkeypatch) -> Venue:
    """The venue of the account alpaca, with which the desk agrees."""
    told = Venue()
    monkeypatch.setattr(sync, "gateway_for", lambda account: told)
    monkeypatch.setattr(reading, "gateway_for", lambda account: told)
    reconcile_account("alpaca")
    return told


@pytest.fixture
def broker(db) -> Counterparty:
    """The broker's side of a limit order to buy 100 IBM at 182.40 that is on its way."""
    roomy_desk("alpaca")
    order = submit(client_order_id="X", strategy="trend")
    sent(order)
    return Counterparty(order)


@pytest.fixture
def by_hand(sandbox, name) -> Iterator[Adapter]:
    """A person at the broker's own screen, in the account of the module's fixture `name`."""
    key, secret = sandbox.keys(name)
    adapter = Adapter({"api_key": key, "secret_key": secret, "base_url": sandbox.url})
    yield adapter
    adapter.close()
