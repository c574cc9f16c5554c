"""The `brokers:` section: which accounts there are, through which adapter, and their shares of the capital."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import ConfigDict, RootModel

from brokers.models import AccountHealth, BrokerAccount
from brokers.registry import adapter_class, adapter_names
from brokers.secrets import MissingSecret, resolve
from tradingdesk.audit import trail
from tradingdesk.config import schema
from tradingdesk.config.document import Document, Loc
from tradingdesk.config.models import ConfigurationRecord
from tradingdesk.config.record import change, configuration_in_force
from tradingdesk.config.references import REFERENCE
from tradingdesk.config.schema import Flag, Share, Strict, Text, expected
from tradingdesk.errors import InvalidInput
from tradingdesk.redaction.known import LITERAL_PASSWORD, SECRET_NAME

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")

Name = Annotated[
    str,
    expected("a name of a to z, 0 to 9 and _", lambda found: isinstance(found, str) and bool(_NAME.fullmatch(found))),
]


class Account(Strict):
    """One account. What is not named here are settings of its adapter."""

    model_config = ConfigDict(extra="allow", frozen=True)

    enabled: Flag = True
    allocation_percent: Share
    paper_trading: Flag = True
    adapter: Text | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """The adapter's settings, with secrets as references, in JSON's kinds of values."""
        return {key: _plain(value) for key, value in (self.model_extra or {}).items()}


class Accounts(RootModel[dict[Name, Account]]):
    """Every account by its broker_name."""


class Section(schema.Section):
    """`brokers:` of the configuration."""

    schema = Accounts

    def problems(self, parsed: Accounts, document: Document) -> Iterable[tuple[Loc, str]]:
        """Check shares, adapters, references, and the settings as each adapter sees them."""
        accounts = parsed.root
        total = sum((account.allocation_percent for account in accounts.values()), Decimal(0))
        if accounts and total != 1:
            yield (
                (),
                f"allocation_percent of all accounts, disabled ones too, adds up to {total.normalize():f}, expected 1",
            )
        for name, account in accounts.items():
            yield from (((name, *loc), text) for loc, text in _account_problems(name, account))

    def in_force(self, recorded: Any) -> Any:
        """Accounts change only through the record; without one they are as their rows say."""
        if recorded is not None:
            return recorded
        return {row.pk: _as_section(row) for row in BrokerAccount.objects.filter(enabled=True)} or None

    def apply(self, parsed: Accounts, *, actor: str, reason: str) -> None:
        """Make, change and disable accounts; one that is not in the file any more keeps its history."""
        for name, account in parsed.root.items():
            _store(name, _columns(name, account), actor=actor, reason=reason)
        for gone in BrokerAccount.objects.exclude(broker_name__in=parsed.root).filter(enabled=True):
            columns = {"enabled": False, "allocation_percent": Decimal(0)}
            _store(gone.broker_name, columns, actor=actor, reason=reason)


def configured_accounts() -> list[BrokerAccount]:
    """The accounts of the configuration in force; those that left it only have their history."""
    names = Section().in_force(_recorded())
    return list(BrokerAccount.objects.filter(pk__in=names or ()))


def change_accounts(wanted: Mapping[str, Mapping[str, Any]], *, actor: str, reason: str) -> ConfigurationRecord | None:
    """Set `enabled` and `allocation_percent` of accounts, all or none; the new version, None when nothing changes.

    Raises:
        InvalidInput: no reason, no such account, or shares that do not add up to 1; nothing changed.
        Conflict: another version came in between; nothing changed.
    """

    def edited(section: dict[str, Any]) -> dict[str, Any]:
        for name, columns in wanted.items():
            if name not in section:
                raise InvalidInput("UNKNOWN_ACCOUNT", f"{name!r} is not in the configuration", name)
            section = section | {name: section[name] | columns}
        return section

    return change("brokers", edited, actor=actor, reason=reason)


def _recorded() -> dict[str, Any] | None:
    in_force = configuration_in_force()
    return in_force.whole.get("brokers") if in_force else None


def _account_problems(name: str, account: Account) -> Iterator[tuple[Loc, str]]:
    adapter = account.adapter or name
    if adapter not in adapter_names():
        known = ", ".join(adapter_names())
        yield ("adapter",), f"found {adapter!r}, expected one of {known}; say which with adapter:"
        return
    yield from _literal_secrets(account.settings)
    missing = list(_missing_references(account.settings))
    if account.enabled:
        yield from missing
    if not missing:
        settings = {"paper_trading": account.paper_trading, **resolve(account.settings)}
        yield from (_placed(problem, account) for problem in adapter_class(adapter).check_settings(settings))


def _literal_secrets(settings: dict[str, Any]) -> Iterator[tuple[Loc, str]]:
    for key, value in settings.items():
        if SECRET_NAME.search(key) and not REFERENCE.fullmatch(str(value)):
            yield (key,), f'expected a reference such as "${{{key.upper()}}}": secrets stay out of the file'
        elif LITERAL_PASSWORD.search(str(value)):
            yield (key,), 'expected a reference such as "${PASSWORD}" for the password: secrets stay out of the file'


def _missing_references(settings: dict[str, Any]) -> Iterator[tuple[Loc, str]]:
    for key, value in settings.items():
        try:
            resolve({key: value})
        except MissingSecret as missing:
            yield (key,), str(missing).removeprefix(f"{key}: ")


def _placed(problem: str, account: Account) -> tuple[Loc, str]:
    """An adapter names the setting first: `host: give one`."""
    key, _, text = problem.partition(": ")
    if key in account.settings or key in Account.model_fields:
        return (key,), text
    return (), problem


def _as_section(row: BrokerAccount) -> dict[str, Any]:
    """What a file would say of an account."""
    adapter = {} if row.adapter == row.pk else {"adapter": row.adapter}
    columns = ("enabled", "allocation_percent", "paper_trading")
    return {**adapter, **{column: getattr(row, column) for column in columns}, **row.settings}


def _columns(name: str, account: Account) -> dict[str, Any]:
    return {
        "adapter": account.adapter or name,
        "enabled": account.enabled,
        "allocation_percent": account.allocation_percent,
        "paper_trading": account.paper_trading,
        "settings": account.settings,
    }


def _store(name: str, columns: dict[str, Any], *, actor: str, reason: str) -> None:
    """Write an account's columns and, when that changes any, the event that tells of it."""
    known = BrokerAccount.objects.select_for_update(no_key=True).filter(broker_name=name).first()
    before = {column: getattr(known, column) for column in columns} if known else None
    if before == columns:
        return
    account, _ = BrokerAccount.objects.update_or_create(broker_name=name, defaults=columns)
    AccountHealth.objects.get_or_create(account=account)
    event = trail.event(
        "config.changed",
        actor=actor,
        entity="broker_account",
        entity_key=name,
        broker_name=name,
        before=before,
        after=columns,
        reason=reason,
    )
    trail.record(event)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, list):
        return [_plain(child) for child in value]
    return {key: _plain(child) for key, child in value.items()} if isinstance(value, dict) else value
