from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from orders.management.scope_arguments import add_scope_arguments, scope_of, words_for
from risk.halts import halts_in_force, resume
from tradingdesk.audit.people import operator
from tradingdesk.errors import DeskError


class Command(BaseCommand):
    help = "Clear a halt. Halts of a wider or narrower scope stay, and are named."

    def add_arguments(self, parser: CommandParser) -> None:
        add_scope_arguments(parser)

    def handle(self, *args: Any, reason: str, **options: Any) -> None:
        where = scope_of(options)
        halts = {(halt.scope, halt.scope_key): halt for halt in halts_in_force()}
        found = halts.pop((where["scope"], where["scope_key"]), None)
        if found is None:
            raise CommandError(f"no halt is in force for {words_for(**where)}")
        try:
            resume(halt=found, reason=reason, actor=operator())
        except DeskError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"trading goes on for {words_for(**where)}")
        for other in halts.values():
            self.stdout.write(f"still halted: {words_for(other.scope, other.scope_key)} ({other.reason})")
