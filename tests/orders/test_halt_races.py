"""Orders racing a halt: each is committed before it or refused by it, on both databases."""

import threading

import pytest
from django.db import connections

from orders.halting import counts_of, stop
from orders.models import Order
from risk.models import Level, Scope
from risk.rulebook import forget
from tests.orders.desk import roomy_desk, submit
from tradingdesk.audit.models import AuditEvent
from tradingdesk.fix import OrdStatus

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.usefixtures("wakings")]
THREADS, EACH = 8, 12


@pytest.fixture
def desk(transactional_db):
    forget()
    yield roomy_desk()
    forget()


def race(halt_it) -> None:
    """Let threads submit orders one after the other, and throw the switch once some of them are in."""
    begin, some = threading.Barrier(THREADS + 1), threading.Semaphore(0)

    def trade() -> None:
        begin.wait(30)
        for _ in range(EACH):
            submit(order_qty="1")
            some.release()
        connections.close_all()

    threads = [threading.Thread(target=trade) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    begin.wait(30)
    for _ in range(THREADS):
        assert some.acquire(timeout=30)
    halt_it()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


@pytest.mark.parametrize("level", [Level.FREEZE, Level.REDUCE_ONLY, Level.DRAIN])
def test_no_order_is_accepted_after_the_halt_is_set(desk, level):
    race(lambda: stop(scope=Scope.FIRM, level=level, reason="drill", actor="rita"))
    told = AuditEvent.objects.filter(kind__in=["kill.halt", "order.routed", "order.denied"]).order_by("id")
    kinds = list(told.values_list("kind", flat=True))
    at = kinds.index("kill.halt")
    assert Order.objects.count() == THREADS * EACH
    assert len(kinds) == THREADS * EACH + 1
    assert set(kinds[:at]) == {"order.routed"}
    assert set(kinds[at + 1 :]) <= {"order.denied"}


def test_cancel_all_leaves_no_order_that_was_accepted_before_it(desk):
    made = []
    race(lambda: made.append(stop(scope=Scope.FIRM, level=Level.CANCEL_ALL, reason="drill", actor="rita")))
    states = set(Order.objects.values_list("status", flat=True))
    assert states <= {OrdStatus.CANCELED, OrdStatus.DENIED}
    counts = counts_of(made[0])
    assert counts.orders == counts.unsent == Order.objects.filter(status=OrdStatus.CANCELED).count() >= THREADS
