"""Secrets stay out of an account's settings: they hold `${NAME}`, resolved when a connection is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tradingdesk.config.references import REFERENCE, MissingReference, fill
from tradingdesk.credentials.store import value_of
from tradingdesk.redaction.known import SECRET_NAME, remember


class MissingSecret(LookupError):
    """A setting refers to a name that has no value here."""


def resolve(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Put values in the place of references.

    `${NAME}` is the variable NAME, else the text of the file that NAME_FILE names; `${db:NAME}` the credential NAME of
    the database. From then on the values of secret settings are masked in whatever this process says.

    Raises:
        MissingSecret: a name has no value; the message names the setting and the name, never a value.
    """
    return {key: _filled(key, value) if isinstance(value, str) else value for key, value in settings.items()}


def _filled(key: str, text: str) -> str:
    try:
        value = fill(text, stored=value_of)
    except MissingReference as error:
        raise MissingSecret(f"{key}: {error}") from error
    if SECRET_NAME.search(key) and REFERENCE.search(text):
        remember(value)
    return value
