"""What a control is, and what its check is given and may say."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import Any

from risk.exposure import Exposure
from risk.models import Control, Scope
from risk.rules import AccountVerdict, Bound, CandidateAccount, Denial, Place, ProposedOrder, Rulebook
from tradingdesk.fields import plain

FIRM_ONLY = (Scope.FIRM,)
ANYWHERE = tuple(Scope)
_OF_ACCOUNTS = (Scope.BROKER, Scope.ACCOUNT, Scope.USER_ACCOUNT)
BEFORE_ACCOUNTS = tuple(scope for scope in Scope if scope not in _OF_ACCOUNTS)


class Unit(Enum):
    """What a limit's value counts; its value says it to people."""

    QUANTITY = "a number of 0 or more"
    MONEY = "an amount of 0 or more"
    SHARE = "a number from 0 to 1"
    RATIO = "a ratio of 0 or more"
    COUNT = "a whole number of 0 or more"
    SECONDS = "a number of seconds above 0"
    FLAG = "true"


class Stage(Enum):
    """Whether a check is made once for an order, before any account, or at each account that may take it."""

    ORDER = "order"
    ACCOUNT = "account"


class Unmeasured(Exception):
    """A check lacks what it must know; its text says what, and the order is denied."""


@dataclass(frozen=True, slots=True)
class Case:
    """What a check is given.

    `account` and `verdict`, with what the order would hold there, are None before any account.
    """

    order: ProposedOrder
    exposure: Exposure
    book: Rulebook
    total_value: Decimal
    place: Place
    facts: Mapping[str, Any] = field(default_factory=dict)
    account: CandidateAccount | None = None
    verdict: AccountVerdict | None = None

    @property
    def more_qty(self) -> Decimal:
        """Units that the order adds to what it has traded and holds already."""
        return max(self.verdict.reserve_qty - self.order.cum_qty - self.order.held_qty, Decimal(0))

    @property
    def raises_exposure(self) -> bool:
        """Whether more would be held and entered than before, at worst."""
        return self.verdict.gross_after > self.verdict.gross_before

    def fact(self, need: str) -> Any:
        """What the desk was asked for `need`.

        Raises:
            Unmeasured: nobody has told.
        """
        if need not in self.facts:
            raise Unmeasured(f"{need} is not known")
        return self.facts[need]


Check = Callable[[Case, Bound], Iterable[Denial]]


@dataclass(frozen=True, slots=True)
class ControlSpec:
    """One control. Its limits are rows of `risk.models.Limit`; the tightest hard and the tightest soft one count.

    `check` yields a denial where the limit that it is given is passed; None for a limit that others read, such as a
    quote's greatest age. With `each`, every limit that applies is checked, not the tightest alone: where what is
    measured is that scope's own sum. `tightest` is `max` where a limit is a least value. `required`: no trading
    without a hard limit of the firm. `reads_clock`: accounts' clocks are read while a limit is in force.
    """

    control: Control
    meaning: str
    unit: Unit
    scopes: tuple[Scope, ...]
    check: Check | None = None
    stage: Stage = Stage.ACCOUNT
    may_warn: bool = True
    warns_by_default: bool = False
    required: bool = False
    each: bool = False
    tightest: Callable[..., Bound] = min
    needs: frozenset[str] = frozenset()
    reads_clock: bool = False

    def bounds(self, book: Rulebook, place: Place) -> list[Bound]:
        """The limits to check at a place: hard ones before soft ones."""
        found = book.bounds_at(self.control, place)
        if self.each:
            return sorted(found, key=lambda bound: not bound.hard)
        if len(found) < 2:
            return found
        of_kind = ([bound for bound in found if bound.hard is hard] for hard in (True, False))
        return [self.tightest(bounds, key=lambda bound: bound.value) for bounds in of_kind if bounds]


def above(bound: Bound, code: str, name: str, found: Decimal, *, field: str = "order_qty", passes: str = ""):
    """Deny what is above a greatest value; the limit itself is allowed. `passes` if more is to be said than that."""
    if found > bound.value:
        most = plain(bound.value)
        passes = passes or f"{name} of at most {most}"
        yield bound.denial(code, f"{name}={plain(found)}, max={most}", field=field, found=plain(found), passes=passes)


def below(bound: Bound, code: str, name: str, found: Decimal, *, field: str = "", passes: str = ""):
    """Deny what is below a least value; the limit itself is allowed."""
    if found < bound.value:
        least = plain(bound.value)
        passes = passes or f"{name} of at least {least}"
        yield bound.denial(
            code, f"{name}={plain(found)}, wanted={least}", field=field, found=plain(found), passes=passes
        )
