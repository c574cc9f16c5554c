"""Statements of the order path, whose SQL Django makes once and not at every use.

Making the SQL of a wide table costs Django several times what running it costs. `Select` keeps that of a
queryset, `insert` and `update` that of whole rows; rows come and go as model instances, as in the ORM.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.models import QuerySet, Value
from django.db.models.query import ModelIterable, get_related_populators

_unanswered = threading.local()
_TEXTS = (models.CharField, models.TextField)
_BY_INDEX = {
    "plan_cache_mode": "force_generic_plan",
    **dict.fromkeys(("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit"), "off"),
    "max_parallel_workers_per_gather": "0",
}


class Param(Value):
    """A place in a queryset for a value that is given when it runs."""

    def __init__(self, name: str, output_field: models.Field | None = None):
        super().__init__(name, output_field=output_field or models.TextField())

    def as_sql(self, compiler, connection):
        return "%s", [self]

    def __str__(self) -> str:
        raise TypeError(f"the place of {self.value!r}: this lookup wants a value when the statement is made")

    def bound(self, values: dict[str, Any], database: BaseDatabaseWrapper) -> Any:
        """The value, as the database takes it."""
        value, field = values[self.value], self.output_field
        if type(value) is str and type(field) is models.TextField:
            return value  # as most are
        return field.get_db_prep_value(value, database)


class Select:
    """A queryset with a `Param` for each value that changes; called with these, it gives its rows.

    A thread makes the SQL at its first call, and keeps it.

        known = Select(Order.objects.filter(client_order_id=Param("client_order_id")))
        rows = known(client_order_id="A-1")

    With `by_index` PostgreSQL plans it, and what follows in its transaction, once for all values, and with indexes and
    loops alone. That is for questions about the last moments of tables with a long past: of "later than this" it takes
    a third of the table to be, until it knows the value, and so makes a plan at every use, for longer than it follows
    it. Such a question is asked by `later`.
    """

    def __init__(self, queryset: QuerySet, *, by_index: bool = False):
        self._queryset, self._by_index = queryset, by_index
        self._kept = threading.local()

    def __call__(self, **values: Any) -> list:
        """Run it: all rows, each what the queryset gives."""
        compiled = self._compiled()
        cursor = compiled.connection.cursor()
        cursor.execute(compiled.sql, compiled.bound(values))
        return compiled.made_of(_fetched(cursor))

    def later(self, **values: Any) -> "Later":
        """Run it inside a block of `together`; all rows are there after the block."""
        compiled = self._compiled()
        if self._by_index:
            _plan_by_index()
        cursor, rows = compiled.connection.cursor(), Later()
        cursor.execute(compiled.sql, compiled.bound(values))
        _answered(lambda: rows.take(compiled.made_of(_fetched(cursor))))
        return rows

    def first(self, **values: Any) -> Any:
        """Run it: the first row, or None."""
        return next(iter(self(**values)), None)

    def _compiled(self) -> "_Compiled":
        """This thread's own, made anew where the thread has another connection, as beside a running event loop."""
        compiled = getattr(self._kept, "compiled", None)
        if compiled is None or compiled.connection is not connections[DEFAULT_DB_ALIAS]:
            compiled = self._kept.compiled = _Compiled(self._queryset.all())  # making SQL changes a query
        return compiled


class _Compiled:
    """A queryset's SQL, and how its rows become what it gives: see `ModelIterable` and `ValuesListIterable`."""

    def __init__(self, queryset: QuerySet):
        self._compiler = queryset.query.get_compiler(using=DEFAULT_DB_ALIAS)
        self.connection = self._compiler.connection
        self.sql, self.params = _with_constants(*self._compiler.as_sql())
        select = self._compiler.select
        self._converters = self._compiler.get_converters([expression for expression, *_ in select])
        self._made = tuple
        if issubclass(queryset._iterable_class, ModelIterable):
            info = self._compiler.klass_info
            self._model = info["model"]
            self._columns = slice(info["select_fields"][0], info["select_fields"][-1] + 1)
            self._names = [column.target.attname for column, *_ in select[self._columns]]
            self._related = get_related_populators(info, select, DEFAULT_DB_ALIAS)
            self._annotated = self._compiler.annotation_col_map
            self._made = self._model_of

    def bound(self, values: dict[str, Any]) -> list[Any]:
        """The statement's values, as the database takes them."""
        database = self.connection
        return [one.bound(values, database) if isinstance(one, Param) else one for one in self.params]

    def made_of(self, rows: Iterable[Any]) -> list:
        """What the queryset gives for these rows of the database."""
        if self._converters:
            rows = self._compiler.apply_converters(rows, self._converters)
        return [self._made(row) for row in rows]

    def _model_of(self, row: Any) -> models.Model:
        made = self._model.from_db(DEFAULT_DB_ALIAS, self._names, row[self._columns])
        for related in self._related:
            related.populate(row, made)
        for name, column in self._annotated.items():
            setattr(made, name, row[column])
        return made


def _with_constants(sql: str, params: Iterable[Any]) -> tuple[str, list[Param]]:
    """Write what never changes into a statement, so that only its `Param`s are left.

    PostgreSQL keeps a plan for all values that are to come. An index on some of a table's rows can be in it only if the
    statement itself says that it asks for no others.
    """
    params = list(params)
    if connection.vendor != "postgresql":
        return sql, params
    write = connection.ops.compose_sql
    places = ["%s" if isinstance(one, Param) else _escaped(write("%s", [one])) for one in params]
    return _escaped(sql, "%%") % tuple(places), [one for one in params if isinstance(one, Param)]


def _escaped(text: str, sign: str = "%") -> str:
    return text.replace(sign, sign * 2)


class Later:
    """Rows that are there once the block of `together` has ended that they were asked for in."""

    def __init__(self):
        self._rows: list | None = None

    def take(self, rows: list) -> None:
        """Take the answer."""
        self._rows = rows

    def __call__(self) -> list:
        """The rows."""
        if self._rows is None:
            raise RuntimeError("asked for inside the block that sends the question")
        return self._rows


@contextmanager
def together() -> Iterator[None]:
    """Send `insert`, `update` and `Select.later` in the block without waiting for each answer; its end does.

    To be used inside a transaction, or for questions alone, and without other writes in the block: their counts of rows
    are not known there. A new row has its key after the block, unless it had one before (`next_key`). SQLite, which has
    no way to wait for, does each at once. A block inside another is part of it.
    """
    if connection.vendor != "postgresql" or hasattr(_unanswered, "ends"):
        yield
        return
    if not connection.in_atomic_block:
        connection.cursor().close()  # opens a connection that can be used
    _unanswered.ends, _unanswered.by_index = [], False
    try:
        with connection.wrap_database_errors, connection.connection.pipeline():
            yield
        for end in _unanswered.ends:
            end()
    finally:
        del _unanswered.ends, _unanswered.by_index


def _plan_by_index() -> None:
    """Have PostgreSQL plan once and by index, up to the end of the transaction that the block of `together` is in."""
    if connection.vendor != "postgresql" or _unanswered.by_index:
        return
    _unanswered.by_index = True
    settings = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in _BY_INDEX.items())
    connection.cursor().execute(f"SELECT {settings}")


def next_key(model: type[models.Model]) -> Later:
    """Ask for a key that a new row can have before it is written; no row where the database gives none in advance."""
    key = Later()
    if connection.vendor != "postgresql":
        key.take([])
        return key
    cursor = connection.cursor()
    cursor.execute(
        "SELECT nextval(pg_get_serial_sequence(%s, %s))", [_quoted(model._meta.db_table), model._meta.pk.column]
    )
    _answered(lambda: key.take([value for (value,) in _fetched(cursor)]))
    return key


def insert(*rows: models.Model) -> None:
    """Write new rows of one model in one statement; those without a key get one, as from `row.save()`.

    Columns that none of them has a value for are left out: they are null, and a wide row has many.
    """
    model = type(rows[0])
    without = frozenset(name for name in _left_empty(model) if all(getattr(row, name) is None for row in rows))
    fields = _inserted(model, rows[0].pk is not None, without)
    values = [value for row in rows for value in _values(row, fields, add=True)]
    cursor = connection.cursor()
    cursor.execute(_insert_sql(model, len(rows), rows[0].pk is not None, without), values)
    _answered(partial(_take_keys, cursor, rows))


def update(row: models.Model, *names: str) -> None:
    """Write these fields of a row that is there, or all of them, as `row.save(update_fields=names)` does."""
    cursor = _update(row, {}, names)
    _answered(partial(_take_count, cursor, row))


def update_if(row: models.Model, seen: Mapping[str, Any], *names: str) -> bool:
    """Write these fields of a row, or all of them, if it still has what was `seen`; False when it has changed."""
    with _update(row, seen, names) as cursor:
        return cursor.rowcount == 1


def store(row: models.Model) -> None:
    """Write a row whole, new or not."""
    if row._state.adding:
        insert(row)
    else:
        update(row)


def changed(row: models.Model, before: Mapping[str, Any]) -> list[str]:
    """The fields of a row whose values are others than they were, as `vars(row)` had them.

    A JSON value that was changed in place is not seen to be another one.
    """
    now = vars(row)
    return [field.name for field in _fields(type(row)) if now.get(field.attname) != before.get(field.attname)]


def _update(row: models.Model, seen: Mapping[str, Any], names: tuple[str, ...]) -> CursorWrapper:
    model, conditions = type(row), {row._meta.pk.name: row.pk, **seen}
    asked = [model._meta.get_field(name).get_db_prep_save(value, connection) for name, value in conditions.items()]
    cursor = connection.cursor()
    cursor.execute(
        _update_sql(model, names, tuple(conditions)), [*_values(row, _fields(model, *names), add=False), *asked]
    )
    return cursor


def _answered(end: Callable[[], None]) -> None:
    """Take a statement's answer now, or at the end of the block that it is sent in together with others."""
    if hasattr(_unanswered, "ends"):
        _unanswered.ends.append(end)
    else:
        end()


def _fetched(cursor: CursorWrapper) -> list:
    with cursor:
        return cursor.fetchall()


def _take_keys(cursor: CursorWrapper, rows: tuple[models.Model, ...]) -> None:
    with cursor:
        for row, (row.pk,) in zip(rows, cursor.fetchall(), strict=True):
            row._state.adding, row._state.db = False, DEFAULT_DB_ALIAS


def _take_count(cursor: CursorWrapper, row: models.Model) -> None:
    with cursor:
        if cursor.rowcount != 1:
            raise row.DoesNotExist(f"{row._meta.db_table}: no row {row.pk}")


@cache
def _fields(model: type[models.Model], *names: str) -> list[models.Field]:
    own = [field for field in model._meta.local_concrete_fields if not field.primary_key]
    return [model._meta.get_field(name) for name in names] or own


@cache
def _left_empty(model: type[models.Model]) -> list[str]:
    """Columns that may be left out of a new row whose value is None: they are null then."""
    return [
        field.attname
        for field in _fields(model)
        if field.null and not field.has_db_default() and type(field).pre_save is models.Field.pre_save
    ]


@cache
def _inserted(model: type[models.Model], with_keys: bool, without: frozenset[str]) -> list[models.Field]:
    fields = [model._meta.pk, *_fields(model)] if with_keys else _fields(model)
    return [field for field in fields if field.attname not in without]


@cache
def _insert_sql(model: type[models.Model], count: int, with_keys: bool, without: frozenset[str]) -> str:
    columns = [_quoted(field.column) for field in _inserted(model, with_keys, without)]
    places = ", ".join([f"({', '.join(['%s'] * len(columns))})"] * count)
    table, key = _quoted(model._meta.db_table), _quoted(model._meta.pk.column)
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {places} RETURNING {key}"


@cache
def _update_sql(model: type[models.Model], names: tuple[str, ...], conditions: tuple[str, ...]) -> str:
    changes = ", ".join(f"{_quoted(field.column)} = %s" for field in _fields(model, *names))
    asked = " AND ".join(f"{_quoted(model._meta.get_field(name).column)} = %s" for name in conditions)
    return f"UPDATE {_quoted(model._meta.db_table)} SET {changes} WHERE {asked}"


def _quoted(name: str) -> str:
    return connection.ops.quote_name(name)


def _values(row: models.Model, fields: list[models.Field], *, add: bool) -> list[Any]:
    database = connections[DEFAULT_DB_ALIAS]
    return [_stored(field, field.pre_save(row, add), database) for field in fields]


def _stored(field: models.Field, value: Any, database: BaseDatabaseWrapper) -> Any:
    """A value as the database takes it; most are so already."""
    if value is None or (type(value) is str and type(field) in _TEXTS):
        return value
    return field.get_db_prep_save(value, database)
