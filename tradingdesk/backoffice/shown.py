"""How values are shown to people: trimmed numbers, UTC times to the millisecond, readable JSON."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils.html import format_html

from tradingdesk.fields import MoneyField

EMPTY = "–"


def number(value: Decimal | None) -> str:
    """Show a quantity or price with thousands separators and without trailing zeros."""
    if value is None:
        return EMPTY
    return f"{value.normalize():,f}" if value else "0"


def money(value: Decimal | None) -> str:
    """Show an amount with two decimals."""
    return EMPTY if value is None else f"{value:,.2f}"


def share(value: Decimal | None) -> str:
    """Show a share of 1 as per cent."""
    return EMPTY if value is None else f"{value * 100:.1f}\u00a0%"


def stamp(value: datetime | None) -> str:
    """Show a time in UTC, to the millisecond."""
    if value is None:
        return EMPTY
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}.{value.microsecond // 1000:03}"


def as_json(value: Any) -> str:
    """Write a JSON value over several lines, as it is."""
    return json.dumps(value, cls=DjangoJSONEncoder, indent=2, ensure_ascii=False)


def preformatted(value: Any) -> str:
    """Show a JSON value as preformatted, escaped HTML."""
    return EMPTY if value in (None, {}, []) else format_html('<pre class="desk-json">{}</pre>', as_json(value))


_SHOWN_BY_FIELD: tuple[tuple[type[models.Field], Callable[[Any], str]], ...] = (
    (MoneyField, money),
    (models.DecimalField, number),
    (models.DateTimeField, stamp),
    (models.JSONField, preformatted),
)


def column(name: str, title: str | None = None, *, show: Callable[[Any], str], ordering: str | None = None) -> Callable:
    """Make a list column or read-only field that shows the attribute `name` through `show`."""

    def shown(row: models.Model) -> str:
        return show(getattr(row, name))

    shown.__name__ = name
    shown.short_description = title or name.replace("_", " ")
    if ordering:
        shown.admin_order_field = ordering
    return shown


@cache
def readable(field: models.Field) -> str | Callable:
    """Choose how a model field is shown on a read-only page: its name, or a function that shows it."""
    for kind, show in _SHOWN_BY_FIELD:
        if isinstance(field, kind):
            return column(field.name, field.verbose_name, show=show)
    return field.name
