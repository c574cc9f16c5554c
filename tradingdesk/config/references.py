"""`${NAME}` in the configuration: a value that stays outside of it, in the environment or a file."""

from __future__ import annotations

import os
import re
from pathlib import Path

REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class MissingReference(LookupError):
    """The environment does not have the name; the text says what to set, never a value."""


def fill(text: str) -> str:
    """Put values in the place of `${NAME}`: the variable NAME, else the text of the file that NAME_FILE names.

    Raises:
        MissingReference: a name has no value.
    """
    return REFERENCE.sub(lambda found: _value_of(found[1]), text)


def _value_of(name: str) -> str:
    value = os.environ.get(name) or _file_text(name)
    if not value:
        raise MissingReference(f"set {name} in the environment, or {name}_FILE to a file that holds it")
    return value


def _file_text(name: str) -> str:
    path = os.environ.get(f"{name}_FILE")
    if not path:
        return ""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise MissingReference(f"{name}_FILE cannot be read ({error.strerror})") from error
