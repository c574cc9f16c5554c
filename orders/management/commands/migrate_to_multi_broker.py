"""Bring a single-broker database, and its configuration, into the desk."""

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from brokers.gateway import visiting
from brokers.messages import BrokerError
from brokers.models import AccountSnapshot, BrokerAccount
from orders.migrate import report
from orders.migrate.backup import BackupFailed, back_up
from orders.migrate.configuration import account_settings, convert
from orders.migrate.run import Asked, migrate
from orders.migrate.source import is_postgres, opened, sqlite_path
from orders.migrate.undo import undo
from orders.migrate.validation import ValidationFailed
from tradingdesk.audit.people import operator
from tradingdesk.errors import DeskError
from tradingdesk.running.lock import AlreadyRunning, only_desk_on

BACKUPS = "backups"
REPORTS = "migrations"


class Command(BaseCommand):
    """Parse, migrate, say what came of it."""

    help = (
        "Move a single-broker database (SQLite file or PostgreSQL URL; the desk's own, too) into one account of the "
        "desk: all of it or nothing. Rows that no rule maps are kept whole in migration_quarantine. A second time "
        "changes nothing."
    )
    # The desk's own file may be an old one: its tables do not exist before `migrate`, which this runs.
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("source", metavar="SOURCE", help="path or URL of the legacy database")
        parser.add_argument("--broker", metavar="NAME", default="alpaca", help="account (default: %(default)s)")
        parser.add_argument("--config", metavar="OLD.yaml", type=Path, help="the old system's configuration")
        parser.add_argument("--write-config", metavar="NEW.yaml", type=Path, help="write it in the desk's form")
        parser.add_argument(
            "--portfolio-value", metavar="USD", type=_amount, help="for limits that were shares of the portfolio"
        )
        parser.add_argument("--dry-run", action="store_true", help="do all of it, say what came of it, keep nothing")
        parser.add_argument("--check-connections", action="store_true", help="ask the broker before anything is moved")
        parser.add_argument("--undo", action="store_true", help="take the account's migrations back")

    def handle(self, *args: Any, source: str, broker: str, undo: bool, **options: Any) -> None:
        if bool(options["config"]) != bool(options["write_config"]):
            raise CommandError("--config and --write-config go together", returncode=2)
        try:
            with only_desk_on(settings.DATA_DIR):
                self._undo(broker) if undo else self._migrate(source, broker, **options)
        except AlreadyRunning as error:
            raise CommandError(f"{error}; stop it first", returncode=1) from error
        except (BackupFailed, ValidationFailed) as error:
            raise CommandError(str(error), returncode=1) from error
        except DeskError as error:
            raise CommandError(error.detail, returncode=2) from error

    def _undo(self, broker: str) -> None:
        run = undo(broker, actor=operator(), say=self._say)
        self._say(f"migration {run.pk} into {broker} is undone; its backup is {run.backup}")
        self._say("legacy tables that stand aside get their old names back by: manage.py migrate tradingdesk zero")

    def _migrate(self, source: str, broker: str, **options: Any) -> None:
        config = options["config"]
        if config:
            convert(config, broker_name=broker, portfolio_value=None)  # a file that is wrong is told of before the work
        backup = self._prepare(source, dry_run=options["dry_run"])
        if options["check_connections"]:
            self._check_connection(broker, config)
        with opened(source) as legacy:
            asked = Asked(
                broker, operator(), settings.DATA_DIR / BACKUPS, self._say, dry_run=options["dry_run"], backup=backup
            )
            outcome = migrate(legacy, asked)
        self._say(report.as_text(outcome.report))
        if not options["dry_run"]:
            self._say(f"report {report.write(outcome.report, settings.DATA_DIR / REPORTS)}")
        if config:
            self._write_configuration(broker, **options)

    def _prepare(self, source: str, *, dry_run: bool) -> Path | None:
        """Make the desk's tables where they are missing; a legacy database of the desk's own is backed up before."""
        executor = MigrationExecutor(connection)
        if not executor.migration_plan(executor.loader.graph.leaf_nodes()):
            return None
        if dry_run:
            raise CommandError("the desk's tables are not there yet: run manage.py migrate first", returncode=2)
        backup = None
        if _is_own(source):
            with opened(source) as legacy:
                backup = back_up(legacy, settings.DATA_DIR / BACKUPS, timezone.now())
            self._say(f"backup {backup}, opened and counted")
        self._say("making the desk's tables; legacy ones of the same names become legacy_*")
        connection.close()
        call_command("migrate", verbosity=0, stdout=self.stdout)
        return backup

    def _check_connection(self, broker: str, config: Path | None) -> None:
        account = BrokerAccount.objects.filter(pk=broker).first() or BrokerAccount(broker_name=broker, adapter=broker)
        if not account.settings and config:
            account.settings = account_settings(config)
        try:
            with visiting(account) as gateway:
                state = gateway.account()
        except BrokerError as error:
            raise CommandError(f"{broker}: {error.explained}; nothing was moved") from error
        self._say(f"{broker}: account {state.account_id} answers, portfolio value {state.portfolio_value:,.2f}")

    def _write_configuration(self, broker: str, **options: Any) -> None:
        target, value = options["write_config"], options["portfolio_value"] or _portfolio_value(broker)
        text = convert(options["config"], broker_name=broker, portfolio_value=value)
        if options["dry_run"]:
            self._say(text)
            return
        if target.exists() and target.read_text(encoding="utf-8") != text:
            raise CommandError(f"{target} is there already; it is not written over", returncode=2)
        target.write_text(text, encoding="utf-8")
        self._say(f"configuration {target}: read it, then manage.py load_config {target}")
        if value is None:
            self._say("its limits wait for the portfolio's value: give --portfolio-value, or fill them in")

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


def _is_own(source: str) -> bool:
    """Whether the source is the desk's own database."""
    own = connection.settings_dict
    if connection.vendor == "sqlite":
        return not is_postgres(source) and sqlite_path(source).samefile(own["NAME"])
    return is_postgres(source) and source.partition("?")[0].endswith(f"/{own['NAME']}")


def _portfolio_value(broker: str) -> Decimal | None:
    """The portfolio's value as last known: by the broker, else by the legacy database."""
    account = BrokerAccount.objects.filter(pk=broker).first()
    if account and account.portfolio_value > 0:
        return account.portfolio_value
    known = AccountSnapshot.objects.filter(account=broker, equity__gt=0).order_by("-taken_at", "-id")
    return known.values_list("equity", flat=True).first()


def _amount(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise ValueError(text) from error
    if not value.is_finite() or value <= 0:
        raise ValueError(text)
    return value
