"""What a limit or a halt is about: the firm, one account or one symbol."""

from __future__ import annotations

import re

from brokers.models import BrokerAccount
from risk.models import Scope
from tradingdesk.errors import InvalidInput

SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9./-]{0,31}")


def check_scope(scope: str, scope_key: str) -> None:
    """Refuse a scope that names nothing there is. A symbol need not be known yet: it may be restricted before.

    Raises:
        InvalidInput: the scope is unknown, its key is missing, one too many, or names no account.
    """
    if scope not in Scope.values:
        raise InvalidInput("UNKNOWN_SCOPE", f"found {scope!r}, expected one of {', '.join(Scope.values)}", "scope")
    if scope == Scope.FIRM and scope_key:
        raise InvalidInput("SCOPE_KEY_NOT_WANTED", f"the firm has no key; found {scope_key!r}", "scope_key")
    if scope == Scope.ACCOUNT and not BrokerAccount.objects.filter(broker_name=scope_key).exists():
        raise InvalidInput("UNKNOWN_BROKER", f"no account is called {scope_key!r}", "scope_key")
    if scope == Scope.SYMBOL and not SYMBOL.fullmatch(scope_key):
        raise InvalidInput("INVALID_SYMBOL", f"found {scope_key!r}, expected a symbol such as IBM", "scope_key")


def trail_columns(scope: str, scope_key: str) -> dict[str, str]:
    """Name the account or symbol in the columns of the audit trail that people search by."""
    columns = {Scope.ACCOUNT: "broker_name", Scope.SYMBOL: "symbol"}
    return {columns[scope]: scope_key} if scope in columns else {}
