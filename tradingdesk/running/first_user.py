"""The first user of a new desk, and the file that tells how to get in."""

import json
import os
import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from django.contrib.auth import get_user_model
from django.db import transaction
from rest_framework.authtoken.models import Token

from tradingdesk.audit import trail

USERNAME = "admin"


@dataclass(frozen=True, slots=True)
class Credentials:
    """How to get in; the password is the first one, which its owner may have changed since."""

    url: str
    username: str = ""
    password: str = ""
    token: str = ""


def ensure_first_user(path: Path, url: str) -> Credentials:
    """Make a superuser with a token where there is no user at all, and keep how to get in at `path` (mode 0600).

    A desk that has users keeps them: then the file's answer is given, or only the URL where there is no file.
    """
    known = _read(path)
    if known is not None and Token.objects.filter(key=known.token, user__username=known.username).exists():
        found = replace(known, url=url)
    elif get_user_model().objects.exists():
        return Credentials(url)
    else:
        found = _make_first_user(url)
    if found != known:
        _write(path, found)
    return found


def _make_first_user(url: str) -> Credentials:
    password = secrets.token_urlsafe(18)
    with transaction.atomic():
        user = get_user_model().objects.create_superuser(USERNAME, password=password)
        token = Token.objects.create(user=user)
        made = trail.event(
            "user.created", actor="system:desk", entity="user", entity_key=USERNAME, reason="first start"
        )
        trail.record(made)
    return Credentials(url, USERNAME, password, token.key)


def _read(path: Path) -> Credentials | None:
    try:
        return Credentials(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _write(path: Path, credentials: Credentials) -> None:
    """Write the file whole: nobody else can read it at any moment, and no reader sees half of it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(asdict(credentials), file, indent=2)
    draft.rename(path)
