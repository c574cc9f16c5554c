"""The secrets that this process has had in its hands, and texts without them.

A process can only show a secret that it has read, so whoever reads one tells `remember`. Texts that leave the
process or are stored (log lines, error pages, refusals, the trail) go through `redact`.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from threading import Lock
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "***"
LEAST_LENGTH = 8
SECRET_NAME = re.compile(r"(^|_)(key|keys|secret|token|password|passphrase)$", re.IGNORECASE)
LITERAL_PASSWORD = re.compile(r"(://[^/@:\s\"'<>]*:)(?!\$\{)[^@\s\"'<>]+(?=@)")

_lock = Lock()
_values: frozenset[str] = frozenset()
_spellings: tuple[str, ...] = ()


def remember(*values: str) -> None:
    """Take values as secret from now on.

    One that is shorter than 8 characters, or a plain lower-case word, is left out: to mask it would spoil texts that
    mean something else. As the password of a URL it is masked all the same.
    """
    global _values, _spellings
    if _values.issuperset(values):
        return
    with _lock:
        _values = _values.union(value for value in values if is_telling(value))
        spelled = {spelling for value in _values for spelling in _spellings_of(value)}
        _spellings = tuple(sorted(spelled, key=len, reverse=True))


def is_telling(value: str) -> bool:
    """Whether a text is long and odd enough to be looked for wherever it may turn up."""
    return len(value) >= LEAST_LENGTH and not (value.isalpha() and value.islower())


def holds_secret(text: str) -> bool:
    """Tell whether a secret stands in a text, or a URL with a password."""
    return any(spelling in text for spelling in _spellings) or bool("://" in text and LITERAL_PASSWORD.search(text))


def redact(text: str) -> str:
    """The text with `***` in the place of every secret that this process knows, and of passwords in URLs."""
    for spelling in _spellings:
        if spelling in text:
            text = text.replace(spelling, MASK)
    return LITERAL_PASSWORD.sub(rf"\1{MASK}", text) if "://" in text else text


def redacted(value: Any) -> Any:
    """A JSON value without secrets, keys included; the very same one where it holds none."""
    if isinstance(value, str):
        return redact(value)
    return _redacted(value) if isinstance(value, dict | list | tuple) and holds_secret(repr(value)) else value


def _redacted(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {_redacted(key): _redacted(child) for key, child in value.items()}
    return [_redacted(child) for child in value] if isinstance(value, list | tuple) else value


def _spellings_of(value: str) -> Iterator[str]:
    """How a value stands in a URL, in JSON, in a repr, and each of these in HTML."""
    plain = {value, repr(value)[1:-1], json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    yield from plain
    yield from (quote(value, safe=""), quote(value), quote_plus(value))
    yield from (html.escape(spelling) for spelling in plain)
