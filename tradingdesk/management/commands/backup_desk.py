"""Back the desk up, now."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from tradingdesk.audit.people import operator
from tradingdesk.backup.make import back_up
from tradingdesk.errors import DeskError


class Command(BaseCommand):
    """Parse, back up, say where."""

    help = (
        "Write one checksummed file with the database, the configuration and the list of archives, while the desk "
        "trades, and open it again before it is relied on. Keep it as safe as the database."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--to", metavar="DIR", type=Path, default=settings.DESK_BACKUP_DIR, help="folder (default: %(default)s)"
        )

    def handle(self, *args: Any, to: Path, **options: Any) -> None:
        if to.exists() and not to.is_dir():
            raise CommandError(f"--to {to}: it is no folder", returncode=2)
        try:
            bundle = back_up(to, actor=operator(), say=self._say)
        except DeskError as error:
            raise CommandError(error.detail) from error
        rows = sum(bundle.manifest.tables.values())
        self._say(f"{rows:,} rows of {len(bundle.manifest.tables)} tables, {bundle.path.stat().st_size:,} bytes")
        self._tell_of_configuration(bundle.manifest.configuration)
        self._say(f"sha256 {bundle.sha256}")
        self._say(f"backup {bundle.path}")

    def _tell_of_configuration(self, told: Mapping[str, Any]) -> None:
        if told["left_out"]:
            self._say(f"without a configuration: {told['left_out']}")
        elif told["file_left_out"]:
            self._say(f"version {told['version']} instead of {settings.DESK_CONFIG}: {told['file_left_out']}")

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()
