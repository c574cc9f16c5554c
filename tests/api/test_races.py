"""The same order from many threads at once."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.contrib.auth.models import User
from django.db import connection

from orders.models import Order, OrderRequest
from tests.api.conftest import with_token
from tests.api.test_orders import LIMIT

THREADS = 6


@pytest.mark.django_db(transaction=True)
def test_one_order_posted_by_many_at_once_is_taken_once(desk):
    clients = [with_token(User.objects.create_superuser(f"root-{n}")) for n in range(THREADS)]
    start = Barrier(THREADS, timeout=60)

    def submit(client) -> int:
        start.wait()
        try:
            return client.post("/api/v1/orders/", LIMIT, format="json").status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(THREADS) as threads:
        statuses = sorted(threads.map(submit, clients))

    assert statuses == [200] * (THREADS - 1) + [201]
    assert Order.objects.count() == OrderRequest.objects.count() == 1
