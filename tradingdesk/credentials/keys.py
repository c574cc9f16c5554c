"""The keys that credentials are encrypted with: DESK_CREDENTIAL_KEY, one or several, the newest first.

Fernet (AES-128-CBC with HMAC-SHA256) is read by the first key that fits and written by the first of all, so an old key
stays good for reading while it is being rotated out. The name is encrypted along with the value: a token that was moved
to another row is not taken there.
"""

from __future__ import annotations

import json

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from tradingdesk.config.references import MissingReference, environment_value
from tradingdesk.redaction.known import remember

VARIABLE = "DESK_CREDENTIAL_KEY"
HOW_TO_MAKE_ONE = "make one with `manage.py make_credential_key`"


class KeyUnusable(MissingReference):
    """There is no key, or it is none, or it does not fit; the text says which and what to do, never a value."""


def new_key() -> str:
    """Make a key."""
    return Fernet.generate_key().decode()


def key_count() -> int:
    """How many keys there are.

    Raises:
        KeyUnusable: none, or one of them is no key.
    """
    return len(_keys())


def encrypt(name: str, value: str) -> str:
    """Encrypt a credential with the first key.

    Raises:
        KeyUnusable: none, or one of them is no key.
    """
    return _keys()[0].encrypt(json.dumps([name, value]).encode()).decode()


def decrypt(name: str, token: str, *, first_key_only: bool = False) -> str:
    """Read a credential with whichever key fits.

    Raises:
        KeyUnusable: no key fits, or the token is not of this name.
    """
    keys = _keys()
    try:
        whose, value = json.loads(MultiFernet(keys[:1] if first_key_only else keys).decrypt(token.encode()))
    except (InvalidToken, ValueError):
        raise KeyUnusable(_unreadable(name)) from None
    if whose != name:
        raise KeyUnusable(f"credential {name}: what is stored there is of another name; set it again")
    remember(value)
    return value


def _keys() -> list[Fernet]:
    try:
        given = environment_value(VARIABLE)
    except MissingReference as error:
        raise KeyUnusable(str(error)) from None
    texts = [text.strip() for text in given.split(",") if text.strip()]
    if not texts:
        raise KeyUnusable(
            f"set {VARIABLE} in the environment, or {VARIABLE}_FILE to a file that holds it; {HOW_TO_MAKE_ONE}"
        )
    remember(*texts)
    return [_key(number, text) for number, text in enumerate(texts, start=1)]


def _key(number: int, text: str) -> Fernet:
    try:
        return Fernet(text)
    except ValueError:
        found = f"{VARIABLE}: key {number} is not 32 bytes in URL-safe base64"
        raise KeyUnusable(f"{found}; {HOW_TO_MAKE_ONE}") from None


def _unreadable(name: str) -> str:
    return f"credential {name} cannot be read with {VARIABLE}: give the key it was set with, or set it again"
