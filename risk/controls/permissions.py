"""Who may trade where, and with which strategy."""

from collections.abc import Iterable

from risk.controls.control import Case, ControlSpec, Unit
from risk.models import Control, Scope
from risk.rules import Bound, Denial, Rulebook

_WITH_STRATEGY = (Scope.FIRM, Scope.STRATEGY)
_AT_ACCOUNT = (Scope.FIRM, Scope.BROKER, Scope.ACCOUNT)


def _permission(case: Case, bound: Bound) -> Iterable[Denial]:
    """Deny users who are not named for the account, or for the strategy that the order names."""
    place = case.place
    if bound.scope in _AT_ACCOUNT:
        yield from _unless_named(case, bound, Scope.USER_ACCOUNT, place.account)
    if bound.scope in _WITH_STRATEGY and place.strategy:
        yield from _unless_named(case, bound, Scope.USER_STRATEGY, place.strategy)


def _unless_named(case: Case, bound: Bound, scope: Scope, what: str) -> Iterable[Denial]:
    user, kind = case.place.user, scope.removeprefix("user_")
    if f"{user} {what}" not in case.book.bounds.get(Control.PERMITTED, {}).get(scope, ()):
        named = users_named(case.book, scope, what)
        detail = f"user={user} is not permitted to trade {kind} {what}"
        passes = f"the same order by: {', '.join(sorted(named)) or 'nobody yet'}"
        yield bound.denial("USER_NOT_PERMITTED", detail, found=user, passes=passes)


def users_named(book: Rulebook, scope: Scope, what: str) -> set[str]:
    """Users who are permitted to trade an account (or with a strategy)."""
    pairs = (key.partition(" ") for key in book.bounds.get(Control.PERMITTED, {}).get(scope, ()))
    return {user for user, _, of in pairs if of == what}


PERMISSION_REQUIRED = ControlSpec(
    Control.PERMISSION_REQUIRED,
    "only users who are `permitted` there may trade it",
    Unit.FLAG,
    (Scope.FIRM, Scope.BROKER, Scope.ACCOUNT, Scope.STRATEGY),
    _permission,
    each=True,
)
PERMITTED = ControlSpec(
    Control.PERMITTED,
    "this user may trade at this account, or with this strategy",
    Unit.FLAG,
    (Scope.USER_ACCOUNT, Scope.USER_STRATEGY),
    may_warn=False,
)
