from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from orders.intake import preview_order, submit_order
from orders.management.explanation import explain, in_words
from orders.models import Order
from orders.ticket import OrderTicket, parse_ticket
from tradingdesk.audit.people import operator
from tradingdesk.errors import DeskError, InvalidInput
from tradingdesk.fields import plain
from tradingdesk.fix import OrdStatus

DENIED, USAGE = 1, 2

# Options of the command by the field of the order body that each one fills.
OPTIONS = {
    "ord_type": ("--type", "market, limit, stop, stop_limit or trailing_stop; market if not given"),
    "price": ("--price", "limit price"),
    "stop_px": ("--stop", "stop price"),
    "trail_price": ("--trail-price", "trailing stop: distance as an amount"),
    "trail_percent": ("--trail-percent", "trailing stop: distance in percent"),
    "notional": ("--notional", "amount of money instead of QTY"),
    "time_in_force": ("--tif", "day, gtc, ioc or fok; day if not given"),
    "order_class": ("--order-class", "bracket, oco or oto; simple if not given"),
    "broker_name": ("--broker", "this account or none; the router picks one if not given"),
    "strategy": ("--strategy", "what the order belongs to"),
    "list_id": ("--list-id", "the parent order that it is a part of"),
    "client_order_id": ("--client-order-id", "your own id: the same order again is not placed twice"),
}


EXITS = {
    ("take_profit", "limit_price"): ("--take-profit", "limit price of the exit that takes the profit"),
    ("stop_loss", "stop_price"): ("--stop-loss", "stop price of the exit against loss"),
    ("stop_loss", "limit_price"): ("--stop-loss-limit", "limit price of that exit, which makes it a stop-limit"),
}


class Command(BaseCommand):
    help = "Submit an order. Exit 0: accepted, 1: denied by risk or routing (the reasons on stderr), 2: not an order."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("symbol", metavar="SYMBOL")
        parser.add_argument("side", metavar="SIDE", help="buy or sell")
        parser.add_argument("order_qty", metavar="QTY", nargs="?", help="units; left out with --notional")
        for field, (option, meaning) in OPTIONS.items():
            parser.add_argument(option, dest=field, metavar=option.rpartition("-")[2].upper(), help=meaning)
        for (name, part), (option, meaning) in EXITS.items():
            parser.add_argument(option, dest=f"{name}.{part}", metavar="PRICE", help=meaning)
        parser.add_argument("--explain", action="store_true", help="tell how risk and routing decided")
        parser.add_argument("--dry-run", action="store_true", help="decide, but store and send nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            ticket = parse_ticket(_body(options))
            self._preview(ticket) if options["dry_run"] else self._submit(ticket, explained=options["explain"])
        except InvalidInput as error:
            raise CommandError(_in_one_line(error), returncode=USAGE) from error
        except DeskError as error:
            raise CommandError(str(error)) from error

    def _preview(self, ticket: OrderTicket) -> None:
        preview = preview_order(ticket=ticket, actor=operator())
        for line in explain(preview.accounts, preview.warnings, preview.routing):
            self.stdout.write(line)
        if not preview.allowed:
            raise _denied("would be denied", preview.denials)
        what = "would wait for another person's approval" if preview.needs_approval else "would be accepted"
        self.stdout.write(f"{what}; nothing was stored or sent")

    def _submit(self, ticket: OrderTicket, *, explained: bool) -> None:
        submission = submit_order(ticket=ticket, actor=operator(), source=Order.Source.COMMAND)
        order = submission.order
        if explained:
            self._explain(order)
        if order.status == OrdStatus.DENIED:
            raise _denied(f"{order.client_order_id} is denied", order.denials)
        known = "" if submission.created else " (it was there already)"
        self.stdout.write(f"{order.client_order_id} {order.status}, {_in_words(order)}{known}")

    def _explain(self, order: Order) -> None:
        risk, routing = order.risk_decisions.first(), order.routing_decisions.first()
        if risk is None:
            self.stdout.write("not decided yet")
            return
        shown = {"chosen": "", "reason": "not before it is approved", "candidates": []}
        if routing is not None:
            shown = {"chosen": routing.chosen, "reason": routing.reason, "candidates": routing.candidates}
        for line in explain(risk.accounts, risk.warnings, shown):
            self.stdout.write(line)


def _body(options: dict[str, Any]) -> dict[str, Any]:
    """The order body that the options make."""
    names = ("symbol", "side", "order_qty", *OPTIONS)
    body = {name: options[name] for name in names if options[name] is not None}
    for name, part in EXITS:
        if options[f"{name}.{part}"] is not None:
            body.setdefault(name, {})[part] = options[f"{name}.{part}"]
    return body


def _in_words(order: Order) -> str:
    size = plain(order.order_qty) if order.notional is None else f"{plain(order.notional)} worth of"
    terms = f"{order.side} {size} {order.symbol} {order.ord_type} {order.time_in_force}"
    return f"{terms} at {order.account_id or 'no broker yet'}"


def _in_one_line(error: InvalidInput) -> str:
    return f"{error.field}: {error}" if error.field else str(error)


def _denied(what: str, denials: list[dict]) -> CommandError:
    return CommandError("\n  ".join([f"{what}:", *map(in_words, denials)]), returncode=DENIED)
