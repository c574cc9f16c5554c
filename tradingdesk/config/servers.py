"""URLs of the database and of Redis: what is wrong with one is told without showing it, as it may hold a password."""

from __future__ import annotations

import warnings
from urllib.parse import unquote, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured


def database_settings(url: str) -> dict:
    """Read a database URL as Django takes it.

    Raises:
        ImproperlyConfigured: it is none.
    """
    try:
        with warnings.catch_warnings(action="error"):
            return environ.Env.db_url_config(url)
    except (ValueError, LookupError, UserWarning):
        raise _no_url("DATABASE_URL", "postgres://user:password@host:5432/name") from None


def password_of(name: str, url: str) -> set[str]:
    """Give the password in the URL of a server as written there, and as it is; nothing where there is none.

    Raises:
        ImproperlyConfigured: it is no URL; `name` is the variable.
    """
    try:
        parts = urlsplit(url)
        written, _ = parts.password, parts.port  # reading the port finds a password that was cut at a slash
    except ValueError:
        raise _no_url(name, "redis://user:password@host:6379/0") from None
    return {written, unquote(written)} if written else set()


def _no_url(name: str, form: str) -> ImproperlyConfigured:
    escapes = "characters such as # / ? @ in a password are written as %23 %2F %3F %40"
    return ImproperlyConfigured(f"{name}: not a URL such as {form}; {escapes}")
