from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from brokers.models import BrokerAccount
from orders.emergency import TIMEOUT, Outcome, cancel_everything, record, set_halts
from orders.models import Order
from risk.models import Scope
from tradingdesk.audit.people import operator
from tradingdesk.errors import DeskError

USAGE = 2


class Command(BaseCommand):
    help = (
        "Halt trading, then cancel every working order at every broker on connections of this command's own, whether "
        "or not Redis, Celery or the desk's workers are there. Exit 1 unless every broker has shown that nothing works."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--reason", required=True, help="why; kept with the halt and in the audit trail")
        parser.add_argument(
            "--broker", metavar="NAME", action="append", default=[], help="only this account; repeatable"
        )
        parser.add_argument(
            "--timeout",
            type=float,
            default=TIMEOUT,
            metavar="SECONDS",
            help=f"for each broker; {TIMEOUT:g} if not given",
        )

        parser.add_argument(
            "--everything",
            action="store_true",
            help="also what only a broker's own cancel of everything reaches: at Interactive Brokers orders placed by "
            "hand at TWS, and those of every other account of the login",
        )

    def handle(
        self, *args: Any, reason: str, broker: list[str], timeout: float, everything: bool, **options: Any
    ) -> None:
        if timeout <= 0:
            raise CommandError("--timeout: give seconds above 0", returncode=USAGE)
        accounts = _accounts(broker)
        halted = self._halt(broker, reason)
        outcomes = cancel_everything(accounts, timeout=timeout, whole_login=everything)
        for outcome in outcomes:
            self.stdout.write(_in_words(outcome))
        recorded = self._record(outcomes, reason)
        if not (halted and recorded and all(outcome.is_done for outcome in outcomes)):
            raise CommandError("not everything is halted and acknowledged, see above; run it again, or call the broker")

    def _halt(self, brokers: list[str], reason: str) -> bool:
        """Halt first; where that fails, cancel all the same."""
        scopes = [(Scope.ACCOUNT, name) for name in brokers] or [(Scope.FIRM, "")]
        try:
            made = set_halts(scopes, reason=reason, actor=operator())
        except (DatabaseError, DeskError) as error:
            self.stderr.write(f"NOT HALTED, new orders may follow: {str(error).strip().splitlines()[0]}")
            return False
        for one in made:
            where = f"{one.scope} {one.scope_key}".strip()
            self.stdout.write(f"halted: {where}, {one.get_level_display()}, since {one.set_at:%H:%M:%S} UTC")
        return True

    def _record(self, outcomes: list[Outcome], reason: str) -> bool:
        try:
            record(outcomes, reason=reason, actor=operator())
        except DatabaseError as error:
            self.stderr.write(f"not in the trail: {str(error).strip().splitlines()[0]}")
            return False
        return True


def _accounts(names: list[str]) -> list[BrokerAccount]:
    """The accounts that are named; else all that are enabled, or have orders that work.

    Raises:
        CommandError: a name that there is not, or no database to ask.
    """
    try:
        known = {account.pk: account for account in BrokerAccount.objects.order_by("pk")}
        with_orders = set(Order.objects.open().values_list("account_id", flat=True).order_by().distinct())
    except DatabaseError as error:
        raise CommandError(f"the desk's database does not answer: {str(error).strip().splitlines()[0]}") from error
    if unknown := sorted(set(names) - known.keys()):
        raise CommandError(f"--broker: no account is called {unknown[0]!r}", returncode=USAGE)
    if names:
        return [known[name] for name in dict.fromkeys(names)]
    return [account for account in known.values() if account.enabled or account.pk in with_orders]


def _in_words(outcome: Outcome) -> str:
    counts = (
        f"found {len(outcome.found)}, dispatched {len(outcome.dispatched)}, acknowledged {outcome.acknowledged}, "
        f"unknown {outcome.unknown if outcome.listed or outcome.found else 'all: nothing could be read'}"
    )
    verdict = "nothing works there" if outcome.is_done else "NOT DONE"
    return f"{outcome.broker_name}: {counts}: {verdict}" + (f" ({outcome.problem})" if not outcome.is_done else "")
