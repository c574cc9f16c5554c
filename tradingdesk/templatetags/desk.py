"""Template words of the back office."""

from decimal import Decimal, InvalidOperation
from typing import Any

from django import template

from tradingdesk.backoffice import shown
from tradingdesk.config.changes import in_words

register = template.Library()

for _name in ("number", "money", "share", "stamp"):
    register.filter(_name, getattr(shown, _name))
register.filter("as_json", shown.as_json)


@register.filter
def figure(value: str | None) -> str:
    """Show a number that JSON keeps as text."""
    try:
        return shown.number(Decimal(value))
    except (InvalidOperation, TypeError, ValueError):
        return value or shown.EMPTY


@register.filter
def known_money(value: Decimal | None) -> str:
    """Show an amount; in words where it is not known."""
    return "unknown" if value is None else shown.money(value)


@register.filter
def percent(value: str | None) -> str:
    """Show a share of 1 that JSON keeps as text, as per cent."""
    try:
        return shown.share(Decimal(value))
    except (InvalidOperation, TypeError, ValueError):
        return value or shown.EMPTY


@register.filter
def setting(value: Any) -> str:
    """Show a value of the configuration as a file has it; nothing for what is not given."""
    return "" if value is None else in_words(value)


_MISSING = object()


@register.inclusion_tag("admin/desk/json.html")
def raw(value: Any, label: str = "raw") -> dict:
    """Show a JSON value that opens at a click."""
    return {"text": shown.as_json(value) if value else "", "label": label}


@register.inclusion_tag("admin/desk/comparison.html")
def comparison(before: Any, after: Any) -> dict:
    """Show two versions of a thing side by side, each changed line marked."""
    if not (isinstance(before, dict | None) and isinstance(after, dict | None)):
        before, after = {"": before}, {"": after}
    names = list(dict.fromkeys([*(before or {}), *(after or {})]))
    return {"rows": [_line(name, before or {}, after or {}) for name in names], "has_before": bool(before)}


def _line(name: str, before: dict, after: dict) -> dict:
    was, now = before.get(name, _MISSING), after.get(name, _MISSING)
    return {"name": name, "before": _cell(was), "after": _cell(now), "changed": bool(before) and was != now}


def _cell(value: Any) -> str:
    if value is _MISSING:
        return ""
    return value if isinstance(value, str) else shown.as_json(value)
