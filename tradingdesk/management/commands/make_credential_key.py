from typing import Any

from django.core.management.base import BaseCommand

from tradingdesk.credentials.keys import new_key


class Command(BaseCommand):
    help = "Print a new key for DESK_CREDENTIAL_KEY. Keep it out of the database and its backups."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(new_key())
