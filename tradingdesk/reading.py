"""What every list shares: plain decimals, strict filters, and pages that stay put while rows are added."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import DecimalField, Model, Q, QuerySet
from django_filters.rest_framework import DjangoFilterBackend, FilterSet
from rest_framework import serializers
from rest_framework.pagination import BasePagination
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from tradingdesk.errors import InvalidInput
from tradingdesk.fields import plain


class PlainDecimal(serializers.DecimalField):
    """A decimal as a plain string."""

    def __init__(self, **kwargs):
        kwargs.setdefault("max_digits", None)
        kwargs.setdefault("decimal_places", None)
        super().__init__(**kwargs)

    def to_representation(self, value: Decimal) -> str:
        return plain(value)


class DeskSerializer(serializers.ModelSerializer):
    """Rows as answers; every decimal of a row is a `PlainDecimal`."""

    serializer_field_mapping = {**serializers.ModelSerializer.serializer_field_mapping, DecimalField: PlainDecimal}


class StrictFilterBackend(DjangoFilterBackend):
    """Refuse a filter that the list does not know: a misspelt one must not answer with everything."""

    def filter_queryset(self, request, queryset, view):
        known = {*self._names(view), *view.paginator.parameters} if view.paginator else set(self._names(view))
        if unknown := sorted(set(request.query_params) - known):
            detail = f"{unknown[0]}: not a filter of this list; there are {', '.join(sorted(known))}"
            raise InvalidInput("UNKNOWN_FILTER", detail, unknown[0])
        return super().filter_queryset(request, queryset, view)

    def _names(self, view) -> Sequence[str]:
        filterset_class: type[FilterSet] | None = getattr(view, "filterset_class", None)
        return list(filterset_class.base_filters) if filterset_class else []


class SeekPagination(BasePagination):
    """Pages by the place of a row, not by its number, so that they neither skip nor repeat.

    The view's `seek` names the columns, all in one direction ("-created_at", "-id"), the last one
    unique; an index over them answers every page at the same cost. `next` and `previous` are URLs.
    """

    parameters = ("cursor", "page_size")
    default_size = 100
    max_size = 500

    def paginate_queryset(self, queryset: QuerySet, request, view=None) -> list[Model]:
        self.request, self.seek = request, view.seek
        size = self._size(request.query_params.get("page_size"))
        cursor = request.query_params.get("cursor")
        backward, place = self._decode(cursor, queryset.model) if cursor else (False, None)
        rows = list(self._window(queryset, backward, place)[: size + 1])
        more, rows = len(rows) > size, rows[:size]
        rows = rows[::-1] if backward else rows
        self.next = self._link(rows, -1, "n") if rows and (backward or more) else None
        self.previous = self._link(rows, 0, "p") if rows and (more if backward else bool(cursor)) else None
        return rows

    def get_paginated_response(self, results: list) -> Response:
        return Response({"next": self.next, "previous": self.previous, "results": results})

    def _window(self, queryset: QuerySet, backward: bool, place: list | None) -> QuerySet:
        names = [name.lstrip("-") for name in self.seek]
        descending = self.seek[0].startswith("-") != backward
        if place is not None:
            queryset = queryset.filter(_beyond(names, place, "lt" if descending else "gt"))
        return queryset.order_by(*[f"-{name}" if descending else name for name in names])

    def _link(self, rows: list[Model], index: int, way: str) -> str:
        place = [rows[index].serializable_value(name.lstrip("-")) for name in self.seek]
        text = json.dumps([way, *[v if isinstance(v, int) else str(v) for v in place]])
        cursor = urlsafe_b64encode(text.encode()).decode().rstrip("=")
        return replace_query_param(self.request.build_absolute_uri(), "cursor", cursor)

    def _decode(self, cursor: str, model: type[Model]) -> tuple[bool, list]:
        try:
            way, *place = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
            fields = [model._meta.get_field(name.lstrip("-")) for name in self.seek]
            values = [field.to_python(value) for field, value in zip(fields, place, strict=True)]
        except (ValueError, TypeError, RecursionError, ValidationError) as error:
            raise InvalidInput("INVALID_CURSOR", "cursor: not one of this list's", "cursor") from error
        if way not in ("n", "p") or None in values:
            raise InvalidInput("INVALID_CURSOR", "cursor: not one of this list's", "cursor")
        return way == "p", values

    def _size(self, given: str | None) -> int:
        if given is None:
            return self.default_size
        if not (given.isascii() and given.isdigit() and len(given) < 6 and 1 <= int(given) <= self.max_size):
            raise InvalidInput("INVALID_VALUE", f"page_size={given}, min=1, max={self.max_size}", "page_size")
        return int(given)

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """What OpenAPI says about a page."""
        link = {"type": "string", "format": "uri", "nullable": True}
        properties = {"next": link, "previous": link, "results": schema}
        return {"type": "object", "required": list(properties), "properties": properties}

    def get_schema_operation_parameters(self, view) -> list[dict[str, Any]]:
        """What OpenAPI says about the parameters."""
        size = {"type": "integer", "minimum": 1, "maximum": self.max_size, "default": self.default_size}
        return [
            {"name": "cursor", "in": "query", "schema": {"type": "string"}, "description": "from `next` or `previous`"},
            {"name": "page_size", "in": "query", "schema": size},
        ]


class OnePage(SeekPagination):
    """A list that is always whole, in the form of a page."""

    parameters = ()

    def paginate_queryset(self, queryset, request, view=None) -> list:
        self.next = self.previous = None
        return list(queryset)

    def get_schema_operation_parameters(self, view) -> list:
        return []


def _beyond(names: Sequence[str], place: Sequence[Any], lookup: str) -> Q:
    """Rows past a place: (a, b) < (x, y) in a form that an index on (a, b) answers."""
    (name, *names), (value, *place) = names, place
    if not names:
        return Q(**{f"{name}__{lookup}": value})
    past = Q(**{f"{name}__{lookup}": value}) | Q(**{name: value}) & _beyond(names, place, lookup)
    return Q(**{f"{name}__{lookup}e": value}) & past
