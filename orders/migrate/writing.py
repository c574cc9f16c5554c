"""Writing many rows of one model at once: columns that are not given have the model's defaults.

PostgreSQL takes them by COPY; SQLite, which has no network between, by one prepared statement. Keys are given here,
so that rows can refer to rows of the same batch; sequences are moved on at the end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
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
        self._stored = _STORED_BY_SQLITE if connection.vendor == "sqlite" else {}
        fields = model._meta.local_concrete_fields
        self._columns = [field.column for field in fields]
        self._places = {column: place for place, column in enumerate(self._columns)}
        self._json = {field.column for field in fields if isinstance(field, models.JSONField)}
        self._defaults = [None] * len(fields)
        self._defaults = self._values({field.column: field.get_default() for field in fields}, 0)

    @property
    def next_key(self) -> int:
        """The key of the next row."""
        return self.first + self.written

    def write(self, rows: Sequence[dict[str, Any]]) -> list[int]:
        """Write rows, given by their columns; their keys, in the same order."""
        if not rows:
            return []
        keys = list(range(self.next_key, self.next_key + len(rows)))
        put = _copy if connection.vendor == "postgresql" else _insert
        put(self.table, self._columns, (self._values(row, key) for row, key in zip(rows, keys, strict=True)))
        self.written += len(rows)
        return keys

    def finish(self) -> None:
        """Have the database go on with its own keys after the last one."""
        if self.written and connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                sequence = "pg_get_serial_sequence(%s, %s)"
                cursor.execute(
                    f"SELECT setval({sequence}, %s)", [f'"{self.table}"', self.model._meta.pk.column, self.next_key - 1]
                )

    def _values(self, row: dict[str, Any], key: int) -> list[Any]:
        """The values of every column, as the database stores them; what names no column is left out."""
        values, places, stored = self._defaults.copy(), self._places, self._stored
        for name, value in row.items():
            place = places.get(name)
            if place is None:
                continue
            if name in self._json and value is not None:
                values[place] = json.dumps(value, cls=DjangoJSONEncoder)
            else:
                convert = stored.get(type(value))
                values[place] = convert(value) if convert else value
        values[places[self._key]] = key
        return values

    def _next_key(self) -> int:
        highest = self.model._base_manager.aggregate(last=Max("pk"))["last"] or 0
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                # What a sequence has given out may be on its way: the table is locked, so nobody uses it later.
                cursor.execute("SELECT nextval(pg_get_serial_sequence(%s, %s))", [f'"{self.table}"', "id"])
                highest = max(highest, cursor.fetchone()[0] - 1)
        return highest + 1


def _insert(table: str, columns: Sequence[str], rows: Iterable[list[Any]]) -> None:
    names = ", ".join(f'"{column}"' for column in columns)
    places = ", ".join("?" * len(columns))
    connection.connection.executemany(f'INSERT INTO "{table}" ({names}) VALUES ({places})', rows)


def _copy(table: str, columns: Sequence[str], rows: Iterable[list[Any]]) -> None:
    names = ", ".join(f'"{column}"' for column in columns)
    cursor = connection.connection.cursor()
    with cursor.copy(f'COPY "{table}" ({names}) FROM STDIN') as copy:
        for row in rows:
            copy.write_row(row)


# Values as Django stores them in SQLite; times are UTC here.
_STORED_BY_SQLITE: dict[type, Callable[[Any], Any]] = {
    datetime: lambda value: value.isoformat(" ").removesuffix("+00:00"),
    Decimal: lambda value: f"{value:f}",
    bool: int,
}


def existing(model: type[models.Model], column: str, values: Iterable[Any], account: str, *more: str) -> dict[Any, Any]:
    """Find which of these values a column has at an account: to the row's key, or to (key, `more` columns)."""
    wanted = list({value for value in values if value is not None})
    if not wanted:
        return {}
    found = model._base_manager.filter(account_id=account, **{f"{column}__in": wanted})
    if not more:
        return dict(found.values_list(column, "pk"))
    return {row[0]: row[1:] for row in found.values_list(column, "pk", *more)}
