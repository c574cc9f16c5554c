"""Run the sandbox brokers, a process of their own that does not touch the desk's database."""

from __future__ import annotations

import logging
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from brokers.sandbox.replay import SAMPLE_DATA
from brokers.sandbox.server import CannotStart, Options, admin_secret, run

LEVELS = (logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG)


class Command(BaseCommand):
    """Parse, and hand over to the sandbox's server."""

    help = "Run the sandbox brokers: accounts at a made-up venue that speaks Alpaca's API over replayed quotes."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        base = Path(settings.BASE_DIR)
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
        parser.add_argument("--port", type=_port, default=0, help="port to listen on; 0 takes a free one")
        tws = "port of the first Interactive Brokers account's TWS; 0 leaves it to the profile"
        parser.add_argument("--tws-port", type=_port, default=0, help=tws)
        parser.add_argument("--profile", type=Path, default=base / "config" / "sandbox.yaml", help="accounts (YAML)")
        parser.add_argument("--storage", type=Path, default=base / "data" / "sandbox", help="folder of its own file")
        parser.add_argument("--data", type=Path, default=SAMPLE_DATA, help="folder of quotes in LEAN's format")
        parser.add_argument("--speed", type=_speed, default=1.0, help="speed of the replay; 0 stands still")
        parser.add_argument("--ready-file", type=Path, help="write the address there as JSON when ready")
        parser.add_argument("--test-admin", action="store_true", help="open the tests' endpoint (loopback only)")

    def handle(self, *args, **options) -> None:
        logging.getLogger("sandbox").setLevel(LEVELS[options["verbosity"]])
        try:
            run(
                Options(
                    profile=options["profile"],
                    storage=options["storage"],
                    host=options["host"],
                    port=options["port"],
                    tws_port=options["tws_port"],
                    data=options["data"],
                    speed=options["speed"],
                    ready_file=options["ready_file"],
                    admin_secret=admin_secret() if options["test_admin"] else "",
                )
            )
        except CannotStart as error:
            raise CommandError(str(error)) from error


def _port(raw: str) -> int:
    port = int(raw)
    if not 0 <= port <= 65_535:
        raise ValueError(raw)
    return port


def _speed(raw: str) -> float:
    speed = float(raw)
    if not 0 <= speed <= 100_000:
        raise ValueError(raw)
    return speed
