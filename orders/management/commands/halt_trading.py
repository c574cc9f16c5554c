import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from orders.halting import counts_of, stop
from orders.management.scope_arguments import add_scope_arguments, scope_of, words_for
from orders.management.stop_words import cancel_words
from risk.models import Halt, Level, Operation
from tradingdesk.audit.people import operator
from tradingdesk.errors import DeskError, InvalidInput

USAGE = 2
LOOK_EVERY = 0.5


class Command(BaseCommand):
    help = (
        "Stop orders for the whole desk or one account or symbol, as far as --level goes. Cancels always go on. "
        "Where the desk's workers or Redis are down, use emergency_cancel."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_scope_arguments(parser)
        parser.add_argument(
            "--level",
            choices=Level.values,
            help="; ".join(f"{level.value}: {level.label}" for level in Level) + "; freeze if not given",
        )
        parser.add_argument("--operation", choices=Operation.values, default="", help="what --level reject rejects")
        parser.add_argument("--cancel", action="store_true", help="the same as --level cancel_all")
        parser.add_argument(
            "--wait", type=float, default=0, metavar="SECONDS", help="wait so long for the brokers to end the orders"
        )

    def handle(self, *args: Any, reason: str, operation: str, wait: float, **options: Any) -> None:
        where, level = scope_of(options), _level(options)
        try:
            made = stop(**where, level=level, operation=operation, reason=reason, actor=operator())
        except InvalidInput as error:
            raise CommandError(str(error), returncode=USAGE) from error
        except DeskError as error:
            raise CommandError(str(error)) from error
        since = f"{made.set_at:%Y-%m-%d %H:%M:%S} UTC"
        self.stdout.write(f"trading is halted for {words_for(**where)} since {since}: {made.get_level_display()}")
        if level == Level.CANCEL_ALL:
            self._tell_cancels(made, wait)

    def _tell_cancels(self, made: Halt, wait: float) -> None:
        until, counts = time.monotonic() + wait, counts_of(made)
        while counts.still_open and time.monotonic() < until:
            time.sleep(LOOK_EVERY)
            counts = counts_of(made)
        self.stdout.write(cancel_words(counts))
        if wait and counts.still_open:
            raise CommandError(f"{counts.still_open} orders are not ended; if the workers are down: emergency_cancel")


def _level(options: dict[str, Any]) -> str:
    if options["cancel"] and options["level"] not in (None, Level.CANCEL_ALL):
        raise CommandError("--cancel: goes with --level cancel_all only", returncode=USAGE)
    return Level.CANCEL_ALL if options["cancel"] else options["level"] or Level.FREEZE
