"""Read an account at its broker, now and whole."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from brokers.models import BrokerAccount
from orders.models import Order
from orders.sync_now import sync_now


class Command(BaseCommand):
    """Parse, read one account, say what is known of it."""

    help = "Read all of one account: instruments, executions, orders, figures, quotes. Exit 1 when a read failed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("broker_name", metavar="NAME", help="the account, as the configuration names it")

    def handle(self, *args: Any, broker_name: str, **options: Any) -> None:
        account = BrokerAccount.objects.filter(pk=broker_name).first()
        if account is None:
            known = ", ".join(BrokerAccount.objects.values_list("pk", flat=True)) or "none"
            raise CommandError(f"no account is called {broker_name!r}; there are: {known}", returncode=2)
        complete = sync_now(broker_name)
        account.refresh_from_db()
        working = Order.objects.open().filter(account=account).count()
        self.stdout.write(
            f"{broker_name}: {account.status}, {account.listings.count()} instruments, {working} open orders, "
            f"portfolio value {account.portfolio_value:f} {account.currency}"
        )
        if not complete:
            raise CommandError(f"{broker_name}: not everything could be read")
