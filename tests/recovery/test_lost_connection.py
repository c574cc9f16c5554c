"""A worker whose database went away and came back goes on with its next task."""

import pytest
from celery import current_app, shared_task
from django.contrib.auth.models import Group
from django.db import Error, connection

from tests import environment

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(environment.ENGINE != "postgresql", reason="SQLite has no server that could go away"),
]


@shared_task(name="tests.recovery.count_groups")
def count_groups() -> int:
    return Group.objects.count()


def test_task_after_one_that_lost_the_database_has_a_connection_of_its_own():
    current_app.loader.import_default_modules()
    assert count_groups.apply().successful()
    connection.connection.close()  # as a server does that is gone
    failed = count_groups.apply()
    assert isinstance(failed.result, Error)
    assert count_groups.apply().successful()


def test_connection_that_works_is_kept_from_task_to_task():
    count_groups.apply()
    kept = connection.connection
    count_groups.apply()
    assert connection.connection is kept
