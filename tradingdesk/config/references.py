"""`${NAME}` in the configuration: a value that stays outside of it, in the environment or a file.

`${db:NAME}` stands for a credential that is kept encrypted in the database (`tradingdesk.credentials`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from tradingdesk.redaction.known import SECRET_NAME, remember

REFERENCE = re.compile(r"\$\{((?:db:)?[A-Za-z_][A-Za-z0-9_]*)\}")
IN_DATABASE = "db:"


class MissingReference(LookupError):
    """A reference has no value; the text says what to set, never a value."""


def fill(text: str, *, stored: Callable[[str], str] | None = None) -> str:
    """Put values in the place of `${NAME}`: the variable NAME, else the text of the file that NAME_FILE names.

    `stored` gives what `${db:NAME}` stands for; without it there is no such place here.

    Raises:
        MissingReference: a name has no value.
    """
    return REFERENCE.sub(lambda found: _value_of(found[1], stored), text)


def environment_value(name: str) -> str:
    """Give the variable NAME, else the text of the file that NAME_FILE names; "" where there is neither.

    Raises:
        MissingReference: the file cannot be read.
    """
    return os.environ.get(name) or _file_text(name)


def _value_of(name: str, stored: Callable[[str], str] | None) -> str:
    if name.startswith(IN_DATABASE):
        if stored is None:
            raise MissingReference(f"${{{name}}} cannot be used here; refer to a variable, as in ${{NAME}}")
        return stored(name.removeprefix(IN_DATABASE))
    value = environment_value(name)
    if not value:
        raise MissingReference(f"set {name} in the environment, or {name}_FILE to a file that holds it")
    if SECRET_NAME.search(name):
        remember(value)
    return value


def _file_text(name: str) -> str:
    path = os.environ.get(f"{name}_FILE")
    if not path:
        return ""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise MissingReference(f"{name}_FILE cannot be read ({error.strerror})") from error
    except UnicodeDecodeError:
        raise MissingReference(f"{name}_FILE is not text in UTF-8") from None
