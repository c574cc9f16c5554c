from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from tradingdesk.audit.people import operator
from tradingdesk.config.record import Plan, enact, plan
from tradingdesk.errors import DeskError


class Command(BaseCommand):
    help = "Put a configuration file in force, all of it or nothing, and print what changes. Exit 2 when it is wrong."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", nargs="?", type=Path, default=settings.DESK_CONFIG, help="default: $DESK_CONFIG")
        parser.add_argument("--dry-run", action="store_true", help="only check the file and print what would change")
        parser.add_argument("--reason", default="", help="why; kept with the version")

    def handle(self, *args: Any, file: Path, dry_run: bool, reason: str, **options: Any) -> None:
        try:
            with transaction.atomic():
                planned = plan(file)
                self._print_changes(planned)
                if planned.changes and not dry_run:
                    version = enact(planned, actor=operator(), reason=reason).version
                    self.stdout.write(f"version {version} is in force")
        except DeskError as error:
            raise CommandError(error.detail, returncode=2) from error

    def _print_changes(self, planned: Plan) -> None:
        for change in planned.changes:
            self.stdout.write(str(change))
        if not planned.changes:
            self.stdout.write(f"nothing changed; version {planned.in_force.version} stays in force")
