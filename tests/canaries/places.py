"""Secrets that are easy to find again, and the places where people keep them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tradingdesk.credentials import keys, store

# What is looked for: a secret in a spelling that nobody thought of still has its core, and so has the begin of one.
CORES = {
    "api_key": "c4n4ryApiKey",
    "secret_key": "c4n4rySecretKey",
    "bad_api_key": "c4n4ryBadApi",
    "bad_secret_key": "c4n4ryBadSecret",
    "database": "c4n4ryDatabase",
    "redis": "c4n4ryRedis",
    "django": "c4n4ryDjango",
    "typed": "c4n4ryTyped",
}
CREDENTIAL_KEY = "YzRuNHJ5Q3JlZGVudGlhbEtleS4uLi4uLi4uLi4uLi4="
ODD = "&'\"<x>\\/%+#@ :{}"
PLACES = ("environment", "file", "database")


def canary(name: str) -> str:
    """A secret with the core of its name, and characters that are written in another way in URLs, JSON and HTML."""
    return f"{CORES[name]}-{ODD}-{len(name)}end"


def found_in(text: str | bytes) -> set[str]:
    """Name the canaries that a text shows."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    shown = {name for name, core in CORES.items() if core in text}
    return shown | ({"credential_key"} if CREDENTIAL_KEY[:12] in text else set())


class Keeper:
    """Keeps secrets in one place: `keeper.reference(NAME, value)` gives what the configuration says."""

    def __init__(self, place: str, folder: Path, monkeypatch: pytest.MonkeyPatch):
        self.place, self._folder, self._patch = place, folder, monkeypatch

    def reference(self, name: str, value: str) -> str:
        """Put a secret in its place, and refer to it."""
        how: dict[str, Callable[[str, str], str]] = {
            "environment": self._in_environment,
            "file": self._in_file,
            "database": self._in_database,
        }
        return how[self.place](name, value)

    def _in_environment(self, name: str, value: str) -> str:
        self._patch.setenv(name, value)
        return f"${{{name}}}"

    def _in_file(self, name: str, value: str) -> str:
        path = self._folder / name.lower()
        path.write_text(f"{value}\n")
        self._patch.delenv(name, raising=False)
        self._patch.setenv(f"{name}_FILE", str(path))
        return f"${{{name}}}"

    def _in_database(self, name: str, value: str) -> str:
        self._patch.setenv(keys.VARIABLE, CREDENTIAL_KEY)
        store.set_credential(name=name, value=value, actor="ann", reason="a canary")
        return f"${{db:{name}}}"


def files_below(folder: Path, besides: Iterable[str] = ()) -> dict[str, bytes]:
    """Every file below a folder, but for some names."""
    paths = [Path(root) / name for root, _, names in os.walk(folder) for name in names if name not in besides]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths if path.is_file()}
