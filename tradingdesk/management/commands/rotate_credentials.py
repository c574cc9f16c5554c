from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tradingdesk.audit.people import operator
from tradingdesk.credentials.store import rotate
from tradingdesk.errors import DeskError


class Command(BaseCommand):
    help = (
        "Encrypt every credential in the database with the first key of DESK_CREDENTIAL_KEY, all or none. To change "
        "the key: put a new one (make_credential_key) before the old one, with a comma between, wherever the desk "
        "runs; run this; then take the old one away. Exit 1 when a credential cannot be read with any of the keys."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--reason", default="", help="why; kept in the trail")

    def handle(self, *args: Any, reason: str, **options: Any) -> None:
        try:
            count = rotate(actor=operator(), reason=reason)
        except DeskError as error:
            raise CommandError(error.detail) from error
        self.stdout.write(f"{count} credentials are encrypted with the first key; others are not needed for them now")
