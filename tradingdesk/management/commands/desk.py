"""Start the whole desk."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from tradingdesk.errors import DeskError
from tradingdesk.running.desk import Options, run
from tradingdesk.running.lock import AlreadyRunning
from tradingdesk.running.sandbox import SandboxFailed
from tradingdesk.running.threads import PartFailed


class Command(BaseCommand):
    """Parse, and run until told to stop."""

    help = (
        "Run the desk: web, workers, schedules and, where the configuration refers to them, the sandbox brokers. "
        "One process on SQLite; separate processes when DATABASE_URL or REDIS_URL is set. Ctrl-C ends all of it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--demo", action="store_true", help="have a demo trader place a few orders a minute")
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
        parser.add_argument("--port", type=int, default=settings.PORT, help="port (default: $PORT, %(default)s)")

    def handle(self, *args: Any, demo: bool, host: str, port: int, **options: Any) -> None:
        try:
            run(Options(host=host, port=port, demo=demo, say=self._say))
        except (AlreadyRunning, SandboxFailed, PartFailed) as error:
            raise CommandError(str(error)) from error
        except DeskError as error:
            raise CommandError(error.detail, returncode=2) from error
        except OSError as error:
            raise CommandError(f"{host}:{port}: {error.strerror or error}") from error

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()
