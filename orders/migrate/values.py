"""What single legacy values mean, one written rule a kind; what no rule maps is `Unmappable`, with its reason.

A value that is not taken as it stands is noted on its row by the rule's name, so that nothing is mapped silently:

    TEXT_TRIMMED            blanks around a word, or its case, do not matter
    SPELLING                another spelling of a known word (`canceled`, `BUY`, `mkt`)
    NUMBER_FROM_TEXT        a number that was stored as text
    FLOAT_ROUNDED           a float is rounded half-even to 9 decimals (amounts of money: 6) and to 15 digits
    TIME_ZONE_CONVERTED     a time with a zone is converted to UTC; one without a zone is UTC
    JSON_KEPT_AS_TEXT       what does not parse as JSON stays as the text it is
    NOT_FINITE_DROPPED      NaN and infinity in a figure that nothing rests on are no figure
"""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from tradingdesk.fields import MONEY_PLACES, QUANTITY_PLACES, fit

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
_SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9./-]{0,31}")
_TOO_LARGE = {QUANTITY_PLACES: Decimal(10) ** 15, MONEY_PLACES: Decimal(10) ** 14}
_KEPT_NUMBERS = 1 << 16

SIDES = {"buy": "buy", "b": "buy", "bot": "buy", "buy_to_cover": "buy"}
SIDES |= {"sell": "sell", "s": "sell", "sld": "sell", "sell_short": "sell", "short_sell": "sell"}
DIRECTIONS = {"long": "long", "l": "long", "buy": "long", "short": "short", "s": "short", "sell": "short"}
ORDER_TYPES = {"market": "market", "mkt": "market", "limit": "limit", "lmt": "limit", "stop": "stop", "stp": "stop"}
ORDER_TYPES |= {"stop_limit": "stop_limit", "stoplimit": "stop_limit", "stp_lmt": "stop_limit"}
ORDER_TYPES |= {"trailing_stop": "trailing_stop", "trail": "trailing_stop"}
TIMES_IN_FORCE = {"day": "day", "gtc": "gtc", "good_till_cancelled": "gtc", "good_till_canceled": "gtc", "ioc": "ioc"}
TIMES_IN_FORCE |= {"fok": "fok", "opg": "opg", "cls": "cls"}
# What the desk calls it; `pending` is not acknowledged as far as the old system knew.
ORDER_STATUSES = dict.fromkeys(("pending", "pending_new", "submitted", "created", "queued"), "pending")
ORDER_STATUSES |= dict.fromkeys(("new", "open", "accepted", "working", "held"), "new")
ORDER_STATUSES |= dict.fromkeys(("partially_filled", "partial", "partial_fill", "partiallyfilled"), "new")
ORDER_STATUSES |= dict.fromkeys(("filled", "executed", "complete", "completed", "done"), "filled")
ORDER_STATUSES |= dict.fromkeys(("canceled", "cancelled", "cancel"), "canceled")
ORDER_STATUSES |= {"rejected": "rejected", "reject": "rejected", "expired": "expired"}
POSITION_STATUSES = {"open": "open", "opened": "open", "active": "open", "closed": "closed", "close": "closed"}
# The old system's own words: they need no note.
PLAIN = {"buy", "sell", "long", "short", "market", "limit", "stop", "stop_limit", "trailing_stop", "open", "closed"}
PLAIN |= {"day", "gtc", "ioc", "fok", "opg", "cls", "pending", "filled", "cancelled", "rejected"}


class Unmappable(Exception):
    """No rule maps a value: its row is quarantined. `reason` is a code, `detail` says which column and what."""

    def __init__(self, reason: str, detail: str):
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


class Reader:
    """Reads one row's values by the rules, and notes those that applied."""

    __slots__ = ("latest", "row", "rules")

    def __init__(self, row: dict[str, Any], latest: datetime):
        self.row, self.latest = row, latest
        self.rules: list[str] = []

    def note(self, rule: str) -> None:
        """Note that a rule was needed."""
        if rule not in self.rules:
            self.rules.append(rule)

    def word(self, column: str, words: dict[str, str], *, default: str | None = None) -> str:
        """Read one of a set of words, in whatever spelling."""
        found = self.row.get(column)
        if found is None and default is not None:
            return default
        if found in PLAIN and found in words:
            return words[found]
        if not isinstance(found, str):
            raise Unmappable(f"UNKNOWN_{column.upper()}", f"{column}={shown(found)}")
        key = "_".join(found.replace("-", " ").split()).lower()
        if key not in words:
            raise Unmappable(f"UNKNOWN_{column.upper()}", f"{column}={shown(found)}")
        self.note("TEXT_TRIMMED" if key in PLAIN else "SPELLING")
        return words[key]

    def symbol(self) -> str:
        """Read the symbol: trimmed, upper case; one with a blank inside could be several things."""
        found = self.row.get("symbol")
        if not isinstance(found, str):
            raise Unmappable("SYMBOL_INVALID", f"symbol={shown(found)}")
        symbol = found.strip().upper()
        if not _SYMBOL.fullmatch(symbol):
            raise Unmappable("SYMBOL_INVALID", f"symbol={shown(found)}")
        if symbol != found:
            self.note("TEXT_TRIMMED")
        return symbol

    def number(self, column: str, places: int = QUANTITY_PLACES) -> Decimal | None:
        """Read a number; None where there is none."""
        found = self.row.get(column)
        if found is None:
            return None
        if isinstance(found, str):
            self.note("NUMBER_FROM_TEXT")
        try:
            value, rounded = _number(found, type(found), places)
        except Unmappable as problem:
            raise Unmappable(problem.reason, f"{column}={shown(found)}") from None
        if rounded:
            self.note("FLOAT_ROUNDED")
        return value

    def positive(self, column: str) -> Decimal:
        """Read a number that must be there and above zero."""
        value = self.number(column)
        if value is None:
            raise Unmappable("VALUE_MISSING", f"{column} is null")
        if value <= 0:
            raise Unmappable("NOT_POSITIVE", f"{column}={shown(self.row[column])}")
        return value

    def not_negative(self, column: str, places: int = QUANTITY_PLACES) -> Decimal | None:
        """Read a number of 0 or more; None where there is none."""
        value = self.number(column, places)
        if value is not None and value < 0:
            raise Unmappable("NEGATIVE", f"{column}={shown(self.row[column])}")
        return value

    def money(self, column: str) -> Decimal | None:
        """Read an amount of money, of either sign."""
        return self.number(column, MONEY_PLACES)

    def figure(self, column: str) -> float | None:
        """Read a float that nothing rests on; NaN and infinity are none."""
        found = self.row.get(column)
        if found is None:
            return None
        try:
            value = float(found)
        except (TypeError, ValueError):
            raise Unmappable("NOT_A_NUMBER", f"{column}={shown(found)}") from None
        if isinstance(found, str):
            self.note("NUMBER_FROM_TEXT")
        if not math.isfinite(value):
            self.note("NOT_FINITE_DROPPED")
            return None
        return value

    def count(self, column: str) -> int | None:
        """Read a whole number; None where there is none."""
        value = self.number(column)
        if value is not None and (value != value.to_integral_value() or abs(value) > 2**31 - 1):
            raise Unmappable("NOT_A_WHOLE_NUMBER", f"{column}={shown(self.row[column])}")
        return None if value is None else int(value)

    def flag(self, column: str) -> bool:
        """Read true or false: SQLite keeps 1 and 0."""
        found = self.row.get(column)
        if found in (0, 1):
            return bool(found)
        words = {"true": True, "t": True, "yes": True, "1": True, "false": False, "f": False, "no": False, "0": False}
        if isinstance(found, str) and found.strip().lower() in words:
            self.note("SPELLING")
            return words[found.strip().lower()]
        raise Unmappable("NOT_A_FLAG", f"{column}={shown(found)}")

    def time(self, column: str) -> datetime | None:
        """Read a time: naive is UTC, zoned is converted; one before 1990 or in the future is absurd."""
        found = self.row.get(column)
        if found is None:
            return None
        try:
            when = found if isinstance(found, datetime) else datetime.fromisoformat(found.strip())
            if when.tzinfo is None:
                when = when.replace(tzinfo=UTC)
            elif when.tzinfo is not UTC:
                when = when.astimezone(UTC)
                if isinstance(found, str):
                    self.note("TIME_ZONE_CONVERTED")
        except (AttributeError, TypeError, ValueError, OverflowError):
            raise Unmappable("NOT_A_TIME", f"{column}={shown(found)}") from None
        if not EARLIEST <= when <= self.latest:
            raise Unmappable("TIME_ABSURD", f"{column}={shown(found)}")
        return when

    def needed_time(self, column: str) -> datetime:
        """Read a time that must be there."""
        when = self.time(column)
        if when is None:
            raise Unmappable("VALUE_MISSING", f"{column} is null")
        return when

    def text(self, column: str, most: int | None = None) -> str:
        """Read free text, "" for null; text that no database of ours keeps is unreadable, a longer one too long."""
        found = self.row.get(column)
        if found is None:
            return ""
        if not isinstance(found, str):
            found = str(found)
        if not is_storable(found):
            raise Unmappable("TEXT_UNREADABLE", f"{column}={shown(found)}")
        if most is not None and len(found) > most:
            raise Unmappable("TEXT_TOO_LONG", f"{column} has {len(found)} characters, max={most}")
        return found

    def reference(self, column: str) -> int | None:
        """Read the id of another row; what is no whole number names none."""
        found = self.row.get(column)
        if isinstance(found, int) or found is None:
            return found
        try:
            return int(found)
        except (TypeError, ValueError, OverflowError):
            return None

    def json(self, column: str) -> Any:
        """Read a JSON column; what does not parse stays as the text it is."""
        found = self.row.get(column)
        if not isinstance(found, str):
            return readable(found)
        try:
            value = json.loads(found, parse_constant=_refuse)
            written = json.dumps(value, ensure_ascii=False)
            if "\\u0000" not in written and is_storable(written):
                return value
        except (ValueError, RecursionError):
            pass
        self.note("JSON_KEPT_AS_TEXT")
        return readable(found)


@lru_cache(maxsize=_KEPT_NUMBERS)
def _number(found: Any, kind: type, places: int) -> tuple[Decimal, bool]:
    """Read a number, and tell whether it was rounded. `kind` keeps 1, 1.0 and True apart in the cache."""
    try:
        value = Decimal(found.strip() if kind is str else repr(found) if kind is float else found)
    except (InvalidOperation, TypeError, ValueError, AttributeError):
        raise Unmappable("NOT_A_NUMBER", "") from None
    if not value.is_finite():
        raise Unmappable("NOT_FINITE", "")
    if kind is bytes or abs(value) >= _TOO_LARGE[places]:
        raise Unmappable("NUMBER_TOO_LARGE", "")
    fitted = fit(value, places)
    return fitted, fitted != value


def is_storable(text: str) -> bool:
    """Whether PostgreSQL keeps it: no NUL, and nothing that was not UTF-8."""
    return "\0" not in text and (text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text))


def readable(value: Any) -> Any:
    """A value as JSON keeps it on every database: what it cannot hold is written out."""
    kind = type(value)
    if value is None or kind is int or kind is bool:
        return value
    if kind is str:
        return value if value.isascii() and "\0" not in value else _written_out(value)
    if kind is float:
        return value if math.isfinite(value) else str(value)
    if kind is dict:
        return {str(readable(key)): readable(child) for key, child in value.items()}
    if kind is list:
        return [readable(child) for child in value]
    return f"0x{value.hex()}" if kind is bytes else str(value)


def _written_out(text: str) -> str:
    whole = text.replace("\0", "\\x00")
    return whole.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def shown(value: Any) -> str:
    """A value in a detail, short."""
    text = repr(readable(value))
    return text if len(text) <= 80 else f"{text[:77]}..."


def _refuse(constant: str) -> None:
    raise ValueError(constant)
