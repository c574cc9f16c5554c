"""Bring the desk back from a backup, or make a database that was brought back otherwise safe to trade on."""

import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from brokers.models import BrokerAccount
from brokers.registry import adapter_class
from orders.reconcile.after_restore import RESTORE
from orders.reconcile.run import reconcile_account
from orders.restore.checks import ChecksFailed
from orders.restore.run import Asked, restore, take_over
from risk.models import Halt
from tradingdesk.audit.people import operator
from tradingdesk.backup.bundle import Bundle, read_bundle
from tradingdesk.backup.contents import BackupFailed
from tradingdesk.backup.make import archives
from tradingdesk.backup.programs import ProgramFailed
from tradingdesk.errors import DeskError
from tradingdesk.running.lock import AlreadyRunning, only_desk_on


class Command(BaseCommand):
    """Parse, restore, compare with the brokers, say what is left to do."""

    help = (
        "Restore a backup into the desk's database, which must be empty: checked, migrated forward, with ids that no "
        "earlier order has. No account takes an order before it was compared with its broker, now or by its worker."
    )
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("file", metavar="FILE", nargs="?", type=Path, help="what backup_desk has written")
        what.add_argument(
            "--recovered",
            action="store_true",
            help="the database was brought back by other means, such as point-in-time recovery: make it safe",
        )
        parser.add_argument(
            "--despite-discrepancies",
            action="store_true",
            help="take books that do not balance, and halt all trading until a person resumes it",
        )

    def handle(self, *args: Any, file: Path | None, despite_discrepancies: bool, **options: Any) -> None:
        asked = Asked(operator(), self._say, despite=despite_discrepancies)
        try:
            with only_desk_on(settings.DATA_DIR):
                bundle = read_bundle(file) if file else None
                epoch = restore(bundle, asked) if bundle else take_over(asked)
        except AlreadyRunning as error:
            raise CommandError(f"{error}; stop it first", returncode=2) from error
        except (BackupFailed, ChecksFailed, ProgramFailed) as error:
            raise CommandError(error.detail, returncode=1) from error
        except DeskError as error:
            raise CommandError(error.detail, returncode=2) from error
        self._say(f"the desk is back; its ids have epoch {epoch} from now on")
        if bundle:
            self._tell_of_files(bundle)
        self._compare()

    def _tell_of_files(self, bundle: Bundle) -> None:
        """Lay the configuration beside the data, and say which archives are not here."""
        text = bundle.configuration()
        if text is not None:
            path = settings.DATA_DIR / f"restored-{bundle.path.stem}.yaml"
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(text)
            same = settings.DESK_CONFIG.is_file() and settings.DESK_CONFIG.read_bytes() == text
            told = "is the same" if same else "is another, and is loaded at the next start"
            self._say(f"configuration {path}; {settings.DESK_CONFIG} {told}")
        here = {one["name"]: one["sha256"] for one in archives()}
        for one in bundle.manifest.archives:
            if here.get(one["name"]) != one["sha256"]:
                self._say(f"archive {one['name']} is not here as it was: bring it to {settings.DESK_ARCHIVE_DIR}")

    def _compare(self) -> None:
        """Compare with the brokers that answer from here; workers do so with the others, and again each minute."""
        for account in BrokerAccount.objects.filter(enabled=True).order_by("pk"):
            if adapter_class(account.adapter).capabilities.connectionless:
                reconcile_account(account.pk)
        waiting = Halt.objects.filter(cleared_at=None, set_by=RESTORE).values_list("scope_key", flat=True)
        if waiting:
            names = ", ".join(sorted(waiting))
            self._say(f"no orders yet at {names}: start the desk, whose workers compare them; see the breaks, if any")
        else:
            self._say("all accounts agree with their brokers and take orders")

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()
