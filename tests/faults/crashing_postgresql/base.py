"""Django's PostgreSQL, and an end of the process just before or just after a commit.

Only commits count that store something of an order's life, single statements in autocommit among them. What to do
comes by `orders.give`; without DESK_CRASH_FOLDER in the environment this is Django's own backend.
"""

import re
from contextlib import contextmanager

from django.db.backends.postgresql import base
from django.db.backends.utils import CursorWrapper

from tests.faults.crashing_postgresql import orders

_STORES = re.compile(r'(?:INSERT INTO|UPDATE) "?(orders|order_requests|executions|positions|broker_messages)"?\s')


class DatabaseWrapper(base.DatabaseWrapper):
    """One connection; `stores` says whether its transaction has written something that counts."""

    stores = False

    def make_cursor(self, cursor):
        return _Cursor(cursor, self)

    def _commit(self):
        stores, self.stores = self.stores, False
        with _commit_point(stores):
            super()._commit()

    def _rollback(self):
        self.stores = False
        super()._rollback()


class _Cursor(CursorWrapper):
    """Sees what is written, and treats a statement that is a transaction of its own as a commit."""

    def execute(self, sql, params=None):
        stores = isinstance(sql, str) and _STORES.match(sql) is not None
        if self.db.in_atomic_block:
            self.db.stores = self.db.stores or stores
            return super().execute(sql, params)
        with _commit_point(stores):
            return super().execute(sql, params)


@contextmanager
def _commit_point(stores: bool):
    """Around a commit: die before it, or after it, when this is the one."""
    when = orders.count_commit() if stores else ""
    if when == "before":
        orders.die()
    yield
    if when == "after":
        orders.die()
