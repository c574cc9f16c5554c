from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from brokers.gateway import visiting
from brokers.messages import AccountState, BrokerError
from brokers.models import BrokerAccount


class Command(BaseCommand):
    help = "Connect to each enabled account and print its figures. Exit 1 when one does not answer."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--broker", metavar="NAME", help="only this account, enabled or not")

    def handle(self, *args: Any, broker: str | None, **options: Any) -> None:
        accounts = BrokerAccount.objects.filter(**{"broker_name": broker} if broker else {"enabled": True})
        if not accounts:
            raise CommandError(f"no account is called {broker!r}" if broker else "no account is enabled")
        answered = [self._check(account) for account in accounts]
        if not all(answered):
            raise CommandError(f"{answered.count(False)} of {len(answered)} accounts did not answer")

    def _check(self, account: BrokerAccount) -> bool:
        """Print one account's figures, or why there are none; whether it answered."""
        try:
            with visiting(account) as gateway:
                state = gateway.account()
        except BrokerError as error:
            self.stderr.write(self.style.ERROR(f"{account}: {error.explained}"))
            return False
        self.stdout.write(f"{account}: {_in_words(account, state)}")
        return True


def _in_words(account: BrokerAccount, state: AccountState) -> str:
    amounts = ("portfolio_value", "cash", "buying_power")
    figures = [f"{amount} {getattr(state, amount):,.2f} {state.currency}" for amount in amounts]
    blocked = "trading blocked" if state.trading_blocked else "trading allowed"
    money = "paper money" if account.paper_trading else "REAL MONEY"
    return f"account {state.account_id}, {money}, {', '.join(figures)}, {blocked}"
