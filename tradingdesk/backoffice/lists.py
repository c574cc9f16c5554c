"""Lists that stay fast however long a table grows: bounded counts, indexed search and filters."""

from collections.abc import Iterator
from datetime import UTC, datetime, time

from django.core.paginator import Paginator
from django.db import connection, models
from django.utils.functional import cached_property
from unfold.contrib.filters.admin import DropdownFilter, RangeDateFilter
from unfold.utils import parse_date_str
from unfold.views import ChangeList

COUNTED_AT_MOST = 10_000
OFFERED_AT_MOST = 200


class BoundedPaginator(Paginator):
    """Count at most `COUNTED_AT_MOST` rows; older ones are found by filter and search, not by turning pages."""

    template_name = "admin/desk/pagination_bounded.html"

    @cached_property
    def count(self) -> int:
        return self.object_list.order_by()[:COUNTED_AT_MOST].count()

    @property
    def is_capped(self) -> bool:
        """Whether there may be more rows than were counted."""
        return self.count == COUNTED_AT_MOST


class BoundedChangeList(ChangeList):
    """A list that knows no full count, and does not offer to show everything."""

    def get_results(self, request) -> None:
        super().get_results(request)
        self.full_result_count = self.full_result_count or self.result_count


def distinct_values(model: type[models.Model], column: str) -> list[str]:
    """List the non-empty values of an indexed text column: one index seek a value, not a scan of the table."""
    table, name = connection.ops.quote_name(model._meta.db_table), connection.ops.quote_name(column)
    # Written as Django writes the condition of a partial index: SQLite uses one only where the words agree.
    least = f"SELECT MIN({name}) FROM {table} WHERE NOT ({name} = '')"
    statement = (
        f"WITH RECURSIVE known(value) AS (SELECT * FROM ({least}) AS first UNION ALL "
        f"SELECT ({least} AND {name} > known.value) FROM known WHERE known.value IS NOT NULL) "
        f"SELECT value FROM known WHERE value IS NOT NULL LIMIT {OFFERED_AT_MOST}"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return [row[0] for row in cursor.fetchall()]


class IndexedValueFilter(DropdownFilter):
    """Filter by one value of an indexed text column; make one with `value_filter`."""

    column = ""

    def lookups(self, request, model_admin) -> list[tuple[str, str]]:
        return [(value, value) for value in distinct_values(model_admin.model, self.column)]

    def has_output(self) -> bool:
        return True

    def queryset(self, request, queryset: models.QuerySet) -> models.QuerySet:
        return queryset.filter(**{self.column: self.value()}) if self.value() else queryset


def value_filter(column: str, title: str) -> type[IndexedValueFilter]:
    """Make the filter over one indexed text column; the column leads an index."""
    return type(f"{column}_filter", (IndexedValueFilter,), {"column": column, "parameter_name": column, "title": title})


class DayRangeFilter(RangeDateFilter):
    """Filter a time by whole days in UTC, the last one included; what is not a date filters nothing."""

    def queryset(self, request, queryset: models.QuerySet) -> models.QuerySet:
        return queryset.filter(**dict(self._bounds()))

    def _bounds(self) -> Iterator[tuple[str, datetime]]:
        for word, lookup, moment in (("from", "gte", time.min), ("to", "lte", time.max)):
            day = parse_date_str(self.used_parameters.get(f"{self.parameter_name}_{word}", ""))
            if day is not None:
                yield f"{self.parameter_name}__{lookup}", datetime.combine(day, moment, tzinfo=UTC)
