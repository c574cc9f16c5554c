"""Secrets stay out of the database: an account's settings hold `${NAME}`, resolved when a connection is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tradingdesk.config.references import MissingReference, fill


class MissingSecret(LookupError):
    """A setting refers to a name that the environment does not have."""


def resolve(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Put values in the place of `${NAME}`: the variable NAME, else the text of the file that NAME_FILE names.

    Raises:
        MissingSecret: a name has no value; the message names the setting and the name, never a value.
    """
    return {key: _filled(key, value) if isinstance(value, str) else value for key, value in settings.items()}


def _filled(key: str, text: str) -> str:
    try:
        return fill(text)
    except MissingReference as error:
        raise MissingSecret(f"{key}: {error}") from error
