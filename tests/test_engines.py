"""The database that stage tests run on."""

import threading

import pytest
from django.db import connection

from orders.models import Order
from tests import environment


@pytest.mark.django_db
def test_stage_tests_use_the_engine_of_their_process():
    assert connection.vendor == environment.ENGINE
    assert Order.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_another_thread_sees_what_is_committed():
    seen = []

    def look() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM django_migrations")
            seen.append(cursor.fetchone()[0])
        connection.close()

    thread = threading.Thread(target=look)
    thread.start()
    thread.join(timeout=30)
    assert seen
    assert seen[0] > 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(environment.ENGINE != "sqlite", reason="a setting of SQLite")
def test_sqlite_waits_for_other_writers_as_in_the_embedded_desk():
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode")
        assert cursor.fetchone()[0] == "wal"
    assert connection.transaction_mode == "IMMEDIATE"
