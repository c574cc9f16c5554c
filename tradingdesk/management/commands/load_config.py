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
        parser.add_argument(
            "--exact",
            action="store_true",
            help="take the file's word, too, where it is as it was and people have set something else since",
        )

    def handle(self, *args: Any, file: Path, dry_run: bool, reason: str, exact: bool, **options: Any) -> None:
        try:
            with transaction.atomic():
                planned = plan(file, exact=exact)
                self._print_changes(planned)
                if planned.is_news and not dry_run:
                    version = enact(planned, actor=operator(), reason=reason).version
                    self.stdout.write(f"version {version} is in force")
        except DeskError as error:
            raise CommandError(error.detail, returncode=2) from error

    def _print_changes(self, planned: Plan) -> None:
        for change in planned.changes:
            self.stdout.write(str(change))
        for name in planned.held:
            self.stdout.write(f"{name}: stays as it was set in the back office; --exact takes the file's")
        if not planned.changes and planned.in_force:
            self.stdout.write(f"nothing changed; version {planned.in_force.version} stays in force")
