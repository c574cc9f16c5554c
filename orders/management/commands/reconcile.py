"""Compare the desk with its brokers, now."""

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from brokers.models import BrokerAccount
from brokers.registry import adapter_class
from orders import wakeups
from orders.models import ReconciliationBreak, ReconciliationRun
from orders.reconcile.run import reconcile_account
from tradingdesk.queues import broker_queue

LOOK_AGAIN_AFTER = 5.0
WORKER_WITHIN = 60.0


class Command(BaseCommand):
    """Parse, compare each account twice if need be, say what is open."""

    help = (
        "Compare orders, fills, positions and cash with the brokers, mend what is safe, and list the breaks. "
        "Exit 1 when breaks are open or a broker did not answer."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--broker", metavar="NAME", help="one account only (default: every enabled one)")

    def handle(self, *args: Any, broker: str | None, **options: Any) -> None:
        names = self._names(broker)
        answered = [self._reconcile(name) for name in names]
        waiting = ReconciliationBreak.objects.filter(account__in=names, state=ReconciliationBreak.State.OPEN)
        for row in waiting.order_by("account", "id"):
            mark = "" if row.safe else " (blocks orders that add exposure)"
            self.stdout.write(f"break {row.pk} {row.account_id}: {row.text}{mark}\n    {row.proposal}")
        if waiting or not all(answered):
            raise CommandError(f"{len(waiting)} breaks are open" if waiting else "not everything could be read")
        self.stdout.write("desk and brokers agree")

    def _names(self, broker: str | None) -> list[str]:
        known = list(BrokerAccount.objects.values_list("pk", flat=True))
        if broker is None:
            return list(BrokerAccount.objects.filter(enabled=True).values_list("pk", flat=True))
        if broker not in known:
            there_are = ", ".join(known) or "none"
            raise CommandError(f"no account is called {broker!r}; there are: {there_are}", returncode=2)
        return [broker]

    def _reconcile(self, name: str) -> bool:
        """Compare one account; what was found for the first time is looked at again. False when it did not answer."""
        run = self._compare(name)
        if run is None or run.differences:
            time.sleep(LOOK_AGAIN_AFTER)
            run = self._compare(name) or run
        if run is None:
            self.stdout.write(f"{name}: no comparison was made; is a worker running for {broker_queue(name)}?")
            return False
        unread = f"; no answer about {', '.join(run.unread)}" if run.unread else ""
        self.stdout.write(
            f"{name}: {run.orders_compared} orders, {run.positions_compared} positions; {run.fills_repaired} fills "
            f"and {run.orders_adopted} orders brought in; {run.differences} differences{unread}"
        )
        return run.complete

    def _compare(self, name: str) -> ReconciliationRun | None:
        """Compare here; where one process holds the connection, have its worker do it, and wait for that."""
        account = BrokerAccount.objects.get(pk=name)
        if adapter_class(account.adapter).capabilities.connectionless:
            return reconcile_account(name)
        before, deadline = timezone.now(), time.monotonic() + WORKER_WITHIN
        wakeups.reconcile_soon(name)
        done = ReconciliationRun.objects.filter(account=account, started_at__gte=before)
        while not done.exists() and time.monotonic() < deadline:
            time.sleep(0.2)
        return done.order_by("-id").first()
