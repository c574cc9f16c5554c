import sys
from getpass import getpass
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tradingdesk.audit.people import operator
from tradingdesk.credentials.store import NoUsableKey, remove_credential, set_credential
from tradingdesk.errors import DeskError

FOR_NAME = "what the configuration refers to as ${db:NAME}"


class Command(BaseCommand):
    help = (
        "Keep a credential in the database, encrypted with DESK_CREDENTIAL_KEY. The value is read from standard input, "
        "or asked for without showing it: never give it as an argument, where others can read it. "
        "Exit 2 when it is not taken, 1 when there is no key."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help=FOR_NAME)
        parser.add_argument("--remove", action="store_true", help="take it away instead; nothing is read")
        parser.add_argument("--reason", default="", help="why; kept in the trail")

    def handle(self, *args: Any, name: str, remove: bool, reason: str, **options: Any) -> None:
        try:
            if remove:
                remove_credential(name=name, actor=operator(), reason=reason)
            else:
                set_credential(name=name, value=_read(name), actor=operator(), reason=reason)
        except DeskError as error:
            raise CommandError(error.detail, returncode=1 if isinstance(error, NoUsableKey) else 2) from error
        self.stdout.write(f"{name}: removed" if remove else f"{name}: kept; refer to it as ${{db:{name}}}")


def _read(name: str) -> str:
    """One line: a pipe's, or a person's."""
    if sys.stdin.isatty():
        return getpass(f"{name}: ").strip()
    return sys.stdin.read().strip()
