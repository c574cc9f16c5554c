"""What people set of the accounts and of instruments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from django import forms

from brokers.models import BrokerAccount
from brokers.sectors import LONGEST
from tradingdesk.backoffice.forms import ReasonForm, SwitchField, TextField


class SharesForm(ReasonForm):
    """Which accounts are enabled, and their shares of the capital: all on one form, as the shares add up to 1."""

    def __init__(self, data: Any, *, accounts: Iterable[BrokerAccount]):
        super().__init__(data)
        self.accounts = list(accounts)
        for account in self.accounts:
            share = forms.DecimalField(max_digits=9, decimal_places=6, min_value=0, max_value=1)
            share.widget = TextField(label="").widget
            share.label, share.initial = "Share", f"{account.allocation_percent.normalize():f}"
            self.fields[_name("enabled", account)] = SwitchField(label="Enabled", initial=account.enabled)
            self.fields[_name("share", account)] = share
        self.order_fields([*(name for name in self.fields if name != "reason"), "reason"])

    def rows(self) -> Iterator[tuple[BrokerAccount, forms.BoundField, forms.BoundField]]:
        """Each account with its two fields."""
        for account in self.accounts:
            yield account, self[_name("enabled", account)], self[_name("share", account)]

    def wanted(self) -> dict[str, dict[str, bool | Decimal]]:
        """What shall be otherwise, as `change_accounts` takes it."""
        found = {account.pk: dict(self._changed(account)) for account in self.accounts}
        return {name: columns for name, columns in found.items() if columns}

    def _changed(self, account: BrokerAccount) -> Iterator[tuple[str, bool | Decimal]]:
        for column, field in (("enabled", "enabled"), ("allocation_percent", "share")):
            value = self.cleaned_data[_name(field, account)]
            if value != getattr(account, column):
                yield column, value


class SectorForm(ReasonForm):
    """An instrument's sector."""

    sector = TextField(required=False, max_length=LONGEST, help_text="empty: as a broker tells it")

    field_order = ("sector", "reason")


def _name(field: str, account: BrokerAccount) -> str:
    return f"{field}_{account.pk}"
