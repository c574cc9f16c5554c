import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from orders.flattening import positions_to_close
from orders.halting import counts_of, flatten
from orders.management.scope_arguments import add_scope_arguments, scope_of, words_for
from orders.management.stop_words import cancel_words, position_words
from risk.models import Halt
from tradingdesk.audit.people import operator
from tradingdesk.errors import DeskError, InvalidInput

USAGE = 2
LOOK_EVERY = 0.5


class Command(BaseCommand):
    help = (
        "Close everything that is held: halt what increases exposure, cancel what works, and place closing market "
        "orders through the gate until nothing is held. The halt stays until resume_trading."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_scope_arguments(parser)
        parser.add_argument("--confirm", default="", metavar="WORD", help="what is asked for otherwise: FLATTEN")
        parser.add_argument(
            "--wait", type=float, default=0, metavar="SECONDS", help="wait so long until nothing is held"
        )

    def handle(self, *args: Any, reason: str, confirm: str, wait: float, **options: Any) -> None:
        where = scope_of(options)
        try:
            made = flatten(**where, confirm=confirm, reason=reason, actor=operator())
        except InvalidInput as error:
            raise CommandError(str(error), returncode=USAGE) from error
        except DeskError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"flattening {words_for(**where)}; nothing that increases exposure passes from now on")
        self._tell(made, wait)

    def _tell(self, made: Halt, wait: float) -> None:
        until, held = time.monotonic() + wait, positions_to_close(made)
        while held and time.monotonic() < until:
            time.sleep(LOOK_EVERY)
            held = positions_to_close(made)
        self.stdout.write(cancel_words(counts_of(made)))
        for line in position_words(held) or ["nothing is held"]:
            self.stdout.write(line)
        if wait and held:
            raise CommandError(f"{len(held)} positions are still held; the desk goes on closing them")
