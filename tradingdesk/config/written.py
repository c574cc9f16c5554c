"""Values of a configuration as the record keeps them: as JSON to compare, and as YAML to load again."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import yaml

from tradingdesk.redaction.known import redact

_NUMBER = re.compile(r"-?\d+(\.\d+)?")


def as_json(value: Any) -> Any:
    """The values as JSON keeps them: exact fractions as text, and no secrets."""
    if isinstance(value, dict):
        return {key: as_json(child) for key, child in value.items()}
    if isinstance(value, list):
        return [as_json(child) for child in value]
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else f"{value.normalize():f}"
    return redact(value) if isinstance(value, str) else value


def as_yaml(value: dict[str, Any]) -> str:
    """The values as a file that reads as they are, in their order; without secrets."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def with_numbers(value: Any) -> Any:
    """Values from JSON, where text that reads as a number is one: what is known of a version without its YAML."""
    if isinstance(value, dict):
        return {key: with_numbers(child) for key, child in value.items()}
    if isinstance(value, list):
        return [with_numbers(child) for child in value]
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return Decimal(value) if "." in value else int(value)
    return value


class _Dumper(yaml.SafeDumper):
    """Writes what `tradingdesk.config.document` reads back as the same values."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _decimal(dumper: yaml.SafeDumper, value: Decimal) -> yaml.Node:
    text = f"{value.normalize():f}"
    return dumper.represent_scalar(f"tag:yaml.org,2002:{'float' if '.' in text else 'int'}", text)


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    return dumper.represent_str(redact(value))


_Dumper.add_representer(Decimal, _decimal)
_Dumper.add_representer(str, _text)
