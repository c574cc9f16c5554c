"""The `brokers:` section, whose accounts become ones that take orders."""

from __future__ import annotations

from brokers.configuration import Accounts
from brokers.configuration import Section as BrokersSection
from brokers.models import BrokerAccount
from orders.reconcile.after_restore import stop_if_restored


class Section(BrokersSection):
    """`brokers:` of the configuration; on a desk that was restored, a new account is compared with its broker first.

    The backup may be older than the account, which then has orders and holdings that the desk does not know of.
    """

    def apply(self, parsed: Accounts, *, actor: str, reason: str) -> None:
        """Make, change and disable accounts; stop those that are new, after a restore."""
        known = set(BrokerAccount.objects.values_list("pk", flat=True))
        super().apply(parsed, actor=actor, reason=reason)
        for account in BrokerAccount.objects.filter(pk__in=parsed.root.keys() - known):
            stop_if_restored(account)
