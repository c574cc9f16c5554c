"""The `rebalancing:` section: when a plan is proposed, and whether it is placed without a person."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated

from brokers.fees import SCHEDULES
from brokers.models import BrokerAccount
from tradingdesk.config import schema
from tradingdesk.config.document import Document, Loc
from tradingdesk.config.record import configuration_in_force
from tradingdesk.config.schema import Flag, Share, Strict, expected, is_number
from tradingdesk.config.written import with_numbers

_Seconds = Annotated[
    int,
    expected(
        "a whole number of seconds, 1 to 86400",
        lambda found: isinstance(found, int) and not isinstance(found, bool) and 1 <= found <= 86_400,
    ),
]
_Amount = Annotated[Decimal, expected("an amount of 0 or more", lambda found: is_number(found) and found >= 0)]
_FeeSchedule = Annotated[str, expected(f"one of {', '.join(SCHEDULES)}", lambda found: found in SCHEDULES)]


class Rebalancing(Strict):
    """The whole section.

    `propose`: the desk looks by itself; `place`: it places what it proposed without a person, up to `max_cost`, unless
    the gate would deny one of the orders now.
    `max_drift`: how far an account's share of all exposure may be from its `allocation_percent`, None is not watched.
    `headroom`: how far below a limit a plan goes, as a share. `failed_after`: seconds that a broker has failed.
    `leave_unreconciled`: move everything away from an account that is not reconciled, and answers.
    """

    propose: Flag = True
    place: Flag = False
    max_cost: _Amount | None = None
    max_drift: Share | None = None
    headroom: Share = Decimal("0.02")
    failed_after: _Seconds = 300
    leave_unreconciled: Flag = False
    expires_after: _Seconds = 3600
    order_timeout: _Seconds = 300
    fee_schedules: dict[str, _FeeSchedule] = {}


class Section(schema.Section):
    """`rebalancing:` of the configuration."""

    schema = Rebalancing

    def problems(self, parsed: Rebalancing, document: Document) -> Iterable[tuple[Loc, str]]:
        """An account with a fee schedule of its own is one of the file's, or one that there was."""
        brokers = document.data.get("brokers")
        known = {*(brokers if isinstance(brokers, dict) else ())}
        known |= set(BrokerAccount.objects.values_list("broker_name", flat=True)) if parsed.fee_schedules else set()
        for name in parsed.fee_schedules:
            if name not in known:
                yield (
                    ("fee_schedules", name),
                    f"no account is called {name!r}; there are: {', '.join(sorted(known))}",
                )


def rebalancing_in_force() -> Rebalancing:
    """What the configuration in force says; without a word, the defaults."""
    in_force = configuration_in_force()
    recorded = with_numbers(in_force.whole).get("rebalancing") if in_force else None
    return Rebalancing.model_validate(recorded or {})
