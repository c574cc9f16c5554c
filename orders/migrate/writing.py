"""Writing many rows of one model at once: columns that are not given have the model's defaults.

PostgreSQL takes them by COPY; SQLite, which has no network between, by one prepared statement. Keys are given here,
so that rows can refer to rows of the same batch; sequences are moved on at the end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, models
from django.db.models import Max


class Writer:
    """New rows of one model, in the transaction at hand; `first` is where its keys begin."""

    def __init__(self, model: type[models.Model]):
        self.model = model
        self.table, self._key = model._meta.db_table, model._meta.pk.column
        self.first = self._next_key()
        self.written = 0
        self._fields = {field.column: field for field in model._meta.local_concrete_fields}
        self._stored = {column: _stored_as(field) for column, field in self._fields.items()}
        self._defaults = {column: field.get_default() for column, field in self._fields.items()}

    @property
    def next_key(self) -> int:
        """The key of the next row."""
        return self.first + self.written

    def write(self, rows: Sequence[dict[str, Any]]) -> list[int]:
        """Write rows, given by their columns (what names none is left out); their keys, in the same order."""
        if not rows:
            return []
        keys = list(range(self.next_key, self.next_key + len(rows)))
        columns = dict(self._columns(rows, keys))
        put = _copy if connection.vendor == "postgresql" else _insert
        put(self.table, list(columns), zip(*columns.values(), strict=True))
        self.written += len(rows)
        return keys

    def finish(self) -> None:
        """Have the database go on with its own keys after the last one."""
        if self.written and connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                sequence = "pg_get_serial_sequence(%s, %s)"
                cursor.execute(f"SELECT setval({sequence}, %s)", [f'"{self.table}"', self._key, self.next_key - 1])

    def _columns(self, rows: Sequence[dict[str, Any]], keys: list[int]) -> Iterator[tuple[str, Iterable[Any]]]:
        """Every column's values as the database stores them; a column at a time, which is several times quicker.

        Those that no row gives and that are null then are left out.
        """
        given = set().union(*rows)
        for column, stored in self._stored.items():
            default = self._defaults[column]
            if column == self._key:
                yield column, keys
            elif column in given:
                values = [row.get(column, default) for row in rows]
                yield column, [None if value is None else stored(value) for value in values] if stored else values
            elif default is not None:
                yield column, repeat(stored(default) if stored else default, len(rows))

    def _next_key(self) -> int:
        highest = self.model._base_manager.aggregate(last=Max("pk"))["last"] or 0
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                # What a sequence has given out may be on its way: the table is locked, so nobody uses it later.
                cursor.execute("SELECT nextval(pg_get_serial_sequence(%s, %s))", [f'"{self.table}"', "id"])
                highest = max(highest, cursor.fetchone()[0] - 1)
        return highest + 1


def _insert(table: str, columns: Sequence[str], rows: Iterable[tuple]) -> None:
    names = ", ".join(f'"{column}"' for column in columns)
    places = ", ".join("?" * len(columns))
    connection.connection.executemany(f'INSERT INTO "{table}" ({names}) VALUES ({places})', rows)


def _copy(table: str, columns: Sequence[str], rows: Iterable[tuple]) -> None:
    names = ", ".join(f'"{column}"' for column in columns)
    cursor = connection.connection.cursor()
    with cursor.copy(f'COPY "{table}" ({names}) FROM STDIN') as copy:
        for row in rows:
            copy.write_row(row)


def _stored_as(field: models.Field) -> Callable[[Any], Any] | None:
    """How the database stores a field's values, as Django does; None where it takes them as they are."""
    if isinstance(field, models.JSONField):
        return _JSON.encode
    if connection.vendor == "sqlite":
        return next((stored for kind, stored in _STORED_BY_SQLITE.items() if isinstance(field, kind)), None)
    return None


_JSON = DjangoJSONEncoder()
# Times are UTC here.
_STORED_BY_SQLITE: dict[type[models.Field], Callable[[Any], Any]] = {
    models.DateTimeField: lambda value: value.isoformat(" ").removesuffix("+00:00"),
    models.DecimalField: lambda value: f"{value:f}",
    models.BooleanField: int,
}


def existing(model: type[models.Model], column: str, values: Iterable[Any], account: str, *more: str) -> dict[Any, Any]:
    """Find which of these values a column has at an account: to the row's key, or to (key, `more` columns) as stored.

    The values are one parameter: a statement with thousands of them takes longer to make than to run.
    """
    wanted = list({value for value in values if value is not None})
    if not wanted:
        return {}
    table, key = model._meta.db_table, model._meta.pk.column
    columns = ", ".join(f'"{name}"' for name in (column, key, *more))
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            among = "= ANY(%s)"
        else:
            among, wanted = "IN (SELECT value FROM json_each(%s))", json.dumps(wanted)
        of_account = f'"broker_name" = %s AND "{column}" {among}'
        cursor.execute(f'SELECT {columns} FROM "{table}" WHERE {of_account}', [account, wanted])
        return {row[0]: row[1:] if more else row[1] for row in cursor.fetchall()}
