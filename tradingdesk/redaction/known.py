"""The secrets that this process has had in its hands, and texts without them.

A process can only show a secret that it has read, so whoever reads one tells `remember`. Texts that leave the
process or are stored (log lines, error pages, refusals, the trail) go through `redact`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from threading import Lock
from typing import Any

MASK = "***"
LEAST_LENGTH = 8
SECRET_NAME = re.compile(r"(^|_)(key|keys|secret|token|password|passphrase)$", re.IGNORECASE)
# Bounded, as a page of a hundred thousand characters without a space must not take minutes.
LITERAL_PASSWORD = re.compile(r"(://[^/@:\s\"'<>]{0,128}:)(?!\$\{)[^@\s\"'<>]{1,256}(?=@)")
_ESCAPES = r"\\{0,32}"
_OTHERWISE = {" ": r"\+", "\t": r"\\+t", "\n": r"\\+n", "\r": r"\\+r"}
_PLAIN = re.compile(r"[A-Za-z0-9_.~-]+")


@dataclass(frozen=True, slots=True)
class _Secret:
    """How one value is found: by a part that no escaping changes, which is quick, and then as a whole."""

    core: str
    spelled: re.Pattern[str]

    def is_in(self, text: str) -> bool:
        return self.core in text and self.spelled.search(text) is not None


_lock = Lock()
_values: frozenset[str] = frozenset()
_secrets: tuple[_Secret, ...] = ()


def remember(*values: str) -> None:
    """Take values as secret from now on.

    One that is shorter than 8 characters, or a plain lower-case word, is left out: to mask it would spoil texts that
    mean something else. As the password of a URL it is masked all the same.
    """
    global _values, _secrets
    if _values.issuperset(values):
        return
    with _lock:
        _values = _values.union(values)
        telling = {value.strip() for value in _values if is_telling(value.strip())}
        _secrets = tuple(_secret(value) for value in sorted(telling, key=len, reverse=True))


def is_telling(value: str) -> bool:
    """Tell whether a text is long and odd enough to be looked for wherever it may turn up."""
    return len(value) >= LEAST_LENGTH and not (value.isalpha() and value.islower())


def holds_secret(text: str) -> bool:
    """Tell whether a secret stands in a text, or a URL with a password."""
    return any(secret.is_in(text) for secret in _secrets) or bool("://" in text and LITERAL_PASSWORD.search(text))


def redact(text: str) -> str:
    """The text with `***` in the place of every secret that this process knows, and of passwords in URLs."""
    for secret in _secrets:
        if secret.core in text:
            text = secret.spelled.sub(MASK, text)
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


def _secret(value: str) -> _Secret:
    """Prepare for a value as it is, and as it stands in URLs, JSON, reprs and HTML, in any of them in any other."""
    core = max(_PLAIN.findall(value), key=len, default="")
    return _Secret(core, re.compile("".join(_spelled(char) for char in value), re.IGNORECASE))


def _spelled(char: str) -> str:
    """A pattern of one character in every spelling."""
    if _PLAIN.fullmatch(char):
        return char if char.isalnum() else re.escape(char)
    if char == "\\":
        return r"(?:\\+|(?:%(?:25)*5C)+)"
    entity = escape(char)
    ways = [f"{_ESCAPES}{re.escape(char)}", "".join(f"%(?:25)*{code:02X}" for code in _utf8(char)), _unicode(char)]
    if len(entity) > 1:
        ways.append(rf"{_ESCAPES}&(?:amp;)*(?:{entity[1:]}|#(?:x0*{ord(char):x}|0*{ord(char)});)")
    ways += [_OTHERWISE[char]] if char in _OTHERWISE else []
    return f"(?:{'|'.join(ways)})"


def _unicode(char: str) -> str:
    r"""A character as JSON's `\u` escapes, and as Python's `\x` of it or of its bytes."""
    units = char.encode("utf-16-be", "surrogatepass")
    in_json = "".join(rf"\\+u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
    in_bytes = "".join(rf"\\+x{code:02x}" for code in _utf8(char))
    return rf"{in_json}|{in_bytes}|\\+x{ord(char):02x}"


def _utf8(char: str) -> bytes:
    """Its bytes; of half a character, too, as an environment may hold."""
    return char.encode("utf-8", "surrogatepass")
