"""How the halt commands name what they are about."""

from typing import Any

from django.core.management.base import CommandParser

from risk.models import Scope


def add_scope_arguments(parser: CommandParser) -> None:
    """Add --reason, and --broker or --symbol; neither means the firm."""
    parser.add_argument("--reason", required=True, help="why; kept with the halt and in the audit trail")
    scope = parser.add_mutually_exclusive_group()
    scope.add_argument("--broker", metavar="NAME", default="", help="only this account")
    scope.add_argument("--symbol", default="", help="only this symbol, at every account")


def scope_of(options: dict[str, Any]) -> dict[str, str]:
    """The scope and scope_key that the arguments name."""
    if options["broker"]:
        return {"scope": Scope.ACCOUNT, "scope_key": options["broker"]}
    if options["symbol"]:
        return {"scope": Scope.SYMBOL, "scope_key": options["symbol"].upper()}
    return {"scope": Scope.FIRM, "scope_key": ""}


def words_for(scope: str, scope_key: str) -> str:
    """What a scope is called in a sentence."""
    return "the whole desk" if scope == Scope.FIRM else f"{scope} {scope_key}"
