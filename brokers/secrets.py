"""Secrets stay out of the database: an account's settings hold `${NAME}`, resolved when a connection is made."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class MissingSecret(LookupError):
    """A setting refers to a name that the environment does not have."""


def resolve(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Put values in the place of `${NAME}`: the variable NAME, else the text of the file that NAME_FILE names.

    Raises:
        MissingSecret: a name has no value; the message names the setting and the name, never a value.
    """
    return {key: _filled(key, value) if isinstance(value, str) else value for key, value in settings.items()}


def _filled(key: str, text: str) -> str:
    return REFERENCE.sub(lambda found: _value_of(key, found[1]), text)


def _value_of(key: str, name: str) -> str:
    value = os.environ.get(name) or _file_text(key, name)
    if not value:
        raise MissingSecret(f"{key}: set {name} in the environment, or {name}_FILE to a file that holds it")
    return value


def _file_text(key: str, name: str) -> str:
    path = os.environ.get(f"{name}_FILE")
    if not path:
        return ""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise MissingSecret(f"{key}: {name}_FILE cannot be read ({error.strerror})") from error
