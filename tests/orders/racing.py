"""Threads that start together, for tests of what may happen only once or only so often."""

from collections.abc import Callable
from threading import Barrier, Thread

from django.db import connection

from orders.intake import submit_order
from orders.ticket import parse_ticket
from tests.orders.desk import LIMIT_BUY


def race(work: Callable[[int], object], threads: int) -> list:
    """Do the work in threads that start together; what each gave, exceptions included."""
    start, results = Barrier(threads), [None] * threads

    def run(number: int) -> None:
        try:
            start.wait(30)
            results[number] = work(number)
        except Exception as error:
            results[number] = error
        finally:
            connection.close()

    racing = [Thread(target=run, args=(number,)) for number in range(threads)]
    for thread in racing:
        thread.start()
    for thread in racing:
        thread.join(120)
    assert not any(thread.is_alive() for thread in racing)
    return results


def raise_first(results: list) -> list:
    """What each thread gave; the first exception of theirs instead, if there is one."""
    for result in results:
        if isinstance(result, Exception):
            raise result
    return results


def submit_one(number: int, **body) -> str:
    """Submit a limit order to buy 100 IBM, or what `body` says instead; its status."""
    ticket = parse_ticket(LIMIT_BUY | body)
    return submit_order(ticket=ticket, actor=f"thread-{number}").order.status
