"""What the controls in force must know of the desk's own tables, asked for while an order's locks are taken.

A control names it in its `needs` (`risk.controls`); what nobody needs is not asked
for. One function here for each need.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from brokers.models import Instrument, Listing
from risk import exposure
from risk.controls import needs_of
from risk.controls.totals import SECTOR_GROSS
from risk.rules import ProposedOrder, Rulebook
from tradingdesk.statements import together


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be measured: an order that is proposed, now; `listings` are its symbol's, by account.

    `accounts` are the names of all that are enabled.
    """

    order: ProposedOrder
    listings: Mapping[str, Listing]
    book: Rulebook
    now: datetime
    instrument: Instrument
    accounts: tuple[str, ...]


Answer = Callable[[], Any]


def _ask_sector_gross(question: Question) -> Answer:
    """The instrument's sector, and its gross exposure by account; the locks of the accounts keep it as it is."""
    sector = question.instrument.sector
    told = exposure.ask_sector_gross(question.accounts, sector)
    return lambda: (sector, told())


# Each sends its statement within a block of `together`, and gives what reads the answer after it.
ASK: dict[str, Callable[[Question], Answer]] = {SECTOR_GROSS: _ask_sector_gross}


def ask_facts(question: Question) -> Callable[[], dict[str, Any]]:
    """Ask for all that the controls in force need, in a block of `together`; call what this gives after it."""
    answers = {need: ASK[need](question) for need in sorted(needs_of(question.book.bounds)) if need in ASK}
    return lambda: {need: answer() for need, answer in answers.items()}


def facts_for(question: Question, known: Mapping[str, Any]) -> Mapping[str, Any]:
    """The facts that are known, or all anew where the rules have changed since and need others."""
    if needs_of(question.book.bounds) <= known.keys():
        return known
    with together():
        answer = ask_facts(question)
    return answer()
