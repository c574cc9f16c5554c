from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from orders.management.scope_arguments import add_scope_arguments, scope_of, words_for
from risk.halts import halts_in_force, resume
from risk.models import Halt, Level
from tradingdesk.audit.people import operator
from tradingdesk.errors import DeskError, InvalidInput

USAGE = 2


class Command(BaseCommand):
    help = "Clear the halts of a scope, all or those of one level. Halts of a wider or narrower scope stay."

    def add_arguments(self, parser: CommandParser) -> None:
        add_scope_arguments(parser)
        parser.add_argument("--level", choices=Level.values, help="only halts of this level")

    def handle(self, *args: Any, reason: str, level: str | None, **options: Any) -> None:
        where, others = scope_of(options), []
        found: list[Halt] = []
        for halt in halts_in_force():
            is_meant = (halt.scope, halt.scope_key) == (where["scope"], where["scope_key"])
            (found if is_meant and level in (None, halt.level) else others).append(halt)
        if not found:
            raise CommandError(f"no halt is in force for {words_for(**where)}")
        try:
            for halt in found:
                resume(halt=halt, reason=reason, actor=operator())
        except InvalidInput as error:
            raise CommandError(str(error), returncode=USAGE) from error
        except DeskError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"trading goes on for {words_for(**where)}")
        for other in others:
            self.stdout.write(f"still halted: {words_for(other.scope, other.scope_key)} ({_why(other)})")


def _why(halt: Halt) -> str:
    return halt.reason if halt.level == Level.FREEZE else f"{halt.reason}; {halt.get_level_display()}"
