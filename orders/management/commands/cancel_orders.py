from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import QuerySet

from brokers.models import BrokerAccount
from orders.changes import request_cancel
from orders.models import Order
from tradingdesk.audit.people import operator
from tradingdesk.errors import DeskError

USAGE = 2


class Command(BaseCommand):
    help = "Ask the brokers to cancel open orders. They are cancelled when the brokers say so."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--broker", metavar="NAME", help="orders at this account")
        parser.add_argument("--symbol", metavar="SYMBOL", help="orders of this symbol")
        parser.add_argument("--all", action="store_true", help="every open order; needed when nothing else is said")
        parser.add_argument("--reason", default="", metavar="TEXT", help="for the audit trail")

    def handle(self, *args: Any, reason: str, **options: Any) -> None:
        asked, failed = 0, 0
        for order in _chosen(**{name: options[name] for name in ("broker", "symbol", "all")}):
            try:
                request = request_cancel(order=order, actor=operator(), reason=reason)
                asked += 1
                self.stdout.write(
                    f"{order.client_order_id}: {'asked for' if request else 'cancelled, it was never sent'}"
                )
            except DeskError as error:
                failed += 1
                self.stderr.write(f"{order.client_order_id}: {error}")
        self.stdout.write(f"cancels asked for: {asked}, not possible: {failed}")
        if failed:
            raise CommandError("some orders were not asked to be cancelled; see above")


def _chosen(*, broker: str | None, symbol: str | None, all: bool) -> QuerySet[Order]:
    if not (broker or symbol or all):
        raise CommandError("say which: --broker, --symbol or --all", returncode=USAGE)
    if broker and not BrokerAccount.objects.filter(broker_name=broker).exists():
        raise CommandError(f"--broker: no account is called {broker!r}", returncode=USAGE)
    orders = Order.objects.to_cancel().order_by("id")
    orders = orders.filter(account_id=broker) if broker else orders
    return orders.filter(symbol=symbol.upper()) if symbol else orders
