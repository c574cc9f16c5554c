from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import QuerySet

from orders.changes import request_cancel
from orders.management.scope_arguments import add_scope_arguments, scope_of, words_for
from orders.models import Order
from risk.halts import halt
from risk.models import Scope
from tradingdesk.audit.people import operator
from tradingdesk.errors import DeskError


class Command(BaseCommand):
    help = "Stop new orders, for the whole desk or one account or symbol. Cancels go on, and so does what is open."

    def add_arguments(self, parser: CommandParser) -> None:
        add_scope_arguments(parser)
        parser.add_argument("--cancel", action="store_true", help="ask for a cancel of every open order in it, too")

    def handle(self, *args: Any, reason: str, cancel: bool, **options: Any) -> None:
        where = scope_of(options)
        try:
            made = halt(**where, reason=reason, actor=operator())
        except DeskError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"trading is halted for {words_for(**where)} since {made.set_at:%Y-%m-%d %H:%M:%S} UTC")
        if cancel:
            self._cancel(_open_orders(**where), reason)

    def _cancel(self, orders: QuerySet[Order], reason: str) -> None:
        """Ask for every cancel, whatever becomes of one of them."""
        asked, failed = 0, 0
        for order in orders:
            try:
                request_cancel(order=order, actor=operator(), reason=reason)
                asked += 1
            except DeskError as error:
                failed += 1
                self.stderr.write(f"{order.client_order_id}: {error}")
        self.stdout.write(f"cancels asked for: {asked}, not possible: {failed}")
        if failed:
            raise CommandError("some orders were not asked to be cancelled; see above")


def _open_orders(scope: str, scope_key: str) -> QuerySet[Order]:
    orders = Order.objects.to_cancel().order_by("id")
    if scope == Scope.ACCOUNT:
        return orders.filter(account_id=scope_key)
    return orders.filter(symbol=scope_key) if scope == Scope.SYMBOL else orders
