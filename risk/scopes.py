"""What a limit or a halt is about: the firm, a broker, an account, a strategy, a symbol, an asset class or a user."""

from __future__ import annotations

import re
from collections.abc import Callable

from django.contrib.auth import get_user_model

from brokers.models import BrokerAccount
from brokers.registry import adapter_names
from risk.models import Scope
from tradingdesk.errors import InvalidInput
from tradingdesk.fix import AssetClass

SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9./-]{0,31}")
STRATEGY = re.compile(r"[^\x00-\x1f\x7f]{1,64}")
# The keys of the configuration's section under which a scope's limits stand, each below its scope_key.
PLACES = {
    Scope.BROKER: "adapters",
    Scope.ACCOUNT: "accounts",
    Scope.STRATEGY: "strategies",
    Scope.SYMBOL: "symbols",
    Scope.ASSET_CLASS: "asset_classes",
    Scope.USER: "users",
    Scope.USER_ACCOUNT: "user_accounts",
    Scope.USER_STRATEGY: "user_strategies",
}


def check_scope(scope: str, scope_key: str) -> None:
    """Refuse a scope that names nothing there is. Symbols and strategies need not be known yet.

    Raises:
        InvalidInput: the scope is unknown, its key is missing, one too many, or names nothing.
    """
    if scope not in Scope.values:
        raise InvalidInput("UNKNOWN_SCOPE", f"found {scope!r}, expected one of {', '.join(Scope.values)}", "scope")
    if scope == Scope.FIRM:
        if scope_key:
            raise InvalidInput("SCOPE_KEY_NOT_WANTED", f"the firm has no key; found {scope_key!r}", "scope_key")
        return
    if text := key_problem(scope, scope_key):
        raise InvalidInput(_KEYS[scope][1], text, "scope_key")


def key_problem(scope: str, scope_key: str) -> str:
    """Say why a scope other than the firm's cannot have this key; "" when it can."""
    there_is, _, text = _KEYS[scope]
    return "" if there_is(scope_key) else text.format(repr(scope_key))


def _is_user(name: str) -> bool:
    return get_user_model().objects.filter(username=name).exists()


def _is_account(name: str) -> bool:
    return BrokerAccount.objects.filter(broker_name=name).exists()


def _is_user_at_account(key: str) -> bool:
    user, _, account = key.partition(" ")
    return _is_user(user) and _is_account(account)


def _is_user_with_strategy(key: str) -> bool:
    user, _, strategy = key.partition(" ")
    return _is_user(user) and STRATEGY.fullmatch(strategy) is not None


_KEYS: dict[str, tuple[Callable[[str], object], str, str]] = {
    Scope.BROKER: (lambda name: name in adapter_names(), "UNKNOWN_ADAPTER", "no adapter is called {}"),
    Scope.ACCOUNT: (_is_account, "UNKNOWN_BROKER", "no account is called {}"),
    Scope.STRATEGY: (STRATEGY.fullmatch, "INVALID_STRATEGY", "found {}, expected a strategy's name"),
    Scope.SYMBOL: (SYMBOL.fullmatch, "INVALID_SYMBOL", "found {}, expected a symbol such as IBM"),
    Scope.ASSET_CLASS: (
        lambda name: name in AssetClass.values,
        "UNKNOWN_ASSET_CLASS",
        "found {}, expected one of " + ", ".join(AssetClass.values),
    ),
    Scope.USER: (_is_user, "UNKNOWN_USER", "nobody is called {}"),
    Scope.USER_ACCOUNT: (
        _is_user_at_account,
        "UNKNOWN_USER",
        "found {}, expected a user and an account, such as 'ann alpaca'",
    ),
    Scope.USER_STRATEGY: (
        _is_user_with_strategy,
        "UNKNOWN_USER",
        "found {}, expected a user and a strategy, such as 'ann momentum'",
    ),
}


def trail_columns(scope: str, scope_key: str) -> dict[str, str]:
    """Name the account or symbol in the columns of the audit trail that people search by."""
    columns = {Scope.ACCOUNT: "broker_name", Scope.SYMBOL: "symbol"}
    return {columns[scope]: scope_key} if scope in columns else {}
