"""Setting, reading, removing and re-encrypting credentials; each change is an event, which holds no value."""

from __future__ import annotations

import re
from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone

from tradingdesk.audit import trail
from tradingdesk.config.references import MissingReference
from tradingdesk.credentials import keys
from tradingdesk.credentials.models import Credential
from tradingdesk.errors import DeskError, InvalidInput, NotFound
from tradingdesk.redaction.known import remember

LONGEST = 4096
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


class CredentialsUnreadable(DeskError):
    """Some credentials cannot be read with any key; nothing was changed."""


class NoUsableKey(DeskError):
    """DESK_CREDENTIAL_KEY is missing or is no key; nothing was stored."""


def value_of(name: str) -> str:
    """Read what `${db:NAME}` stands for.

    Raises:
        MissingReference: there is no such credential, or no key that reads it.
    """
    token = Credential.objects.filter(name=name).values_list("token", flat=True).first()
    if token is None:
        raise MissingReference(f"no credential {name} is in the database: `manage.py set_credential {name}`")
    return keys.decrypt(name, token)


def set_credential(*, name: str, value: str, actor: str, reason: str = "") -> Credential:
    """Keep a credential, new or in the place of what was there.

    Raises:
        InvalidInput: the name or the value is none.
        NoUsableKey: there is no key to encrypt it with.
    """
    remember(value)
    _check(name, value)
    try:
        token = keys.encrypt(name, value)
    except keys.KeyUnusable as error:
        raise NoUsableKey("CREDENTIAL_KEY_UNUSABLE", str(error)) from error
    with transaction.atomic():
        before = _told(Credential.objects.select_for_update().filter(name=name).first())
        now = timezone.now()
        columns = {"token": token, "set_at": now, "set_by": actor, "encrypted_at": now}
        credential, _ = Credential.objects.update_or_create(name=name, defaults=columns)
        _record("credential.set", name, actor, reason, before=before, after=_told(credential))
    return credential


def remove_credential(*, name: str, actor: str, reason: str = "") -> Credential:
    """Take a credential away, and give what it was; accounts that refer to it are not sent to any more.

    Raises:
        NotFound: there is none of this name.
    """
    with transaction.atomic():
        credential = Credential.objects.select_for_update().filter(name=name).first()
        if credential is None:
            raise NotFound("NO_SUCH_CREDENTIAL", f"no credential is called {name!r}", "name")
        Credential.objects.filter(name=name).delete()
        _record("credential.removed", name, actor, reason, before=_told(credential), after=None)
    return credential


def rotate(*, actor: str, reason: str = "") -> int:
    """Encrypt every credential with the first key, all or none; how many there are. Again changes nothing.

    Raises:
        NoUsableKey: DESK_CREDENTIAL_KEY is missing or is no key.
        CredentialsUnreadable: no key fits some of them; the text names those.
    """
    with transaction.atomic():
        credentials = list(Credential.objects.select_for_update().order_by("name"))
        try:
            keys.key_count()
        except keys.KeyUnusable as error:
            raise NoUsableKey("CREDENTIAL_KEY_UNUSABLE", str(error)) from error
        moved = [credential for credential in credentials if not _is_of_first_key(credential)]
        _move(moved)
        for credential in moved:
            _record("credential.rotated", credential.name, actor, reason, before=None, after=_told(credential))
    return len(credentials)


def _move(credentials: Iterable[Credential]) -> None:
    unreadable = []
    for credential in credentials:
        try:
            value = keys.decrypt(credential.name, credential.token)
        except keys.KeyUnusable:
            unreadable.append(credential.name)
            continue
        credential.token, credential.encrypted_at = keys.encrypt(credential.name, value), timezone.now()
        credential.save(update_fields=["token", "encrypted_at"])
    if unreadable:
        found = f"no key of {keys.VARIABLE} reads {', '.join(unreadable)}"
        raise CredentialsUnreadable(
            "CREDENTIALS_UNREADABLE", f"{found}: add the key they were set with; nothing changed"
        )


def _is_of_first_key(credential: Credential) -> bool:
    try:
        keys.decrypt(credential.name, credential.token, first_key_only=True)
    except keys.KeyUnusable:
        return False
    return True


def _check(name: str, value: str) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidInput("INVALID_NAME", f"name={name!r}: use letters, digits and _, at most 64", "name")
    if not value or len(value) > LONGEST:
        raise InvalidInput("INVALID_VALUE", f"the value has {len(value)} characters, expected 1 to {LONGEST}", "secret")
    if not value.isprintable() or value != value.strip():
        found = "the value holds a line break, a control character, or space around it; give it as the broker shows it"
        raise InvalidInput("INVALID_VALUE", found, "secret")


def _told(credential: Credential | None) -> dict[str, str] | None:
    """What may be told of a credential: when it was set and by whom."""
    if credential is None:
        return None
    return {"set_at": credential.set_at.isoformat(), "set_by": credential.set_by}


def _record(kind: str, name: str, actor: str, reason: str, **sides) -> None:
    trail.record(trail.event(kind, actor=actor, entity="credential", entity_key=name, reason=reason, **sides))
