"""Where the file says the database is: read on its own, before Django's settings and models exist."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from tradingdesk.config.references import fill

_BLOCK = re.compile(r"^database:.*(?:\n(?:[ \t#].*)?)*", re.MULTILINE)
_SQLITE = "sqlite:///"


def database_url(config: Path, *, root: Path, data: Path) -> str:
    """Give `database.url` of the file; "" when it names none.

    A relative SQLite path is below `root`, and one below `data/` is in the desk's data folder, wherever that
    is. Only the one section is read, so a mistake elsewhere in the file is `load_config`'s to tell.

    Raises:
        ValueError: the section is there and cannot be read.
        MissingReference: it refers to a name that the environment does not have.
    """
    found = _BLOCK.search(config.read_text(encoding="utf-8")) if config.is_file() else None
    if found is None:
        return ""
    try:
        section = (yaml.safe_load(found[0]) or {}).get("database") or {}
        url = section.get("url", "")
    except (yaml.YAMLError, AttributeError):
        raise ValueError(f"{config}: database: expected a mapping with a url") from None  # YAML's error quotes the line
    return _at_home(fill(str(url or "")), root=root, data=data)


def _at_home(url: str, *, root: Path, data: Path) -> str:
    path = url.removeprefix(_SQLITE)
    if path == url or path.startswith("/") or not path:
        return url
    first, _, rest = path.partition("/")
    return f"{_SQLITE}{data / rest if first == 'data' and rest else root / path}"
