"""One migration, from the look at the source to the signed-off report; everything it writes is one transaction."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from brokers.models import AccountHealth, BrokerAccount
from brokers.registry import adapter_names
from orders.migrate.backup import back_up
from orders.migrate.moving import MODELS, Move
from orders.migrate.source import HOMELESS, Source
from orders.migrate.validation import Check, as_dicts, checks, failed
from orders.models import MigrationRun
from orders.reconcile.after_restore import stop_if_restored
from tradingdesk.audit import trail
from tradingdesk.errors import InvalidInput

OBJECTS = 200_000
_LOCKED = ("executions", "migration_quarantine", "migration_runs")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for. `backup` is one that was made already, before the tables were moved aside."""

    broker_name: str
    actor: str
    backups: Path
    say: Callable[[str], None]
    dry_run: bool = False
    backup: Path | None = None


@dataclass(slots=True)
class Outcome:
    """What came of it. `run` is None after a dry run; `already` when an earlier run had done it all."""

    report: dict[str, Any]
    run: MigrationRun | None = None
    already: bool = False
    checks: list[Check] = field(default_factory=list)


def migrate(source: Source, asked: Asked) -> Outcome:
    """Move a legacy database into an account; a second time changes nothing.

    Raises:
        InvalidInput: the account cannot be made.
        BackupFailed: nothing was done.
        ValidationFailed: nothing was kept.
    """
    started = timezone.now()
    asked.say(f"source {source.place}: {_in_words(source.counts(source.present))}")
    fingerprint = source.fingerprint()
    asked.say(f"fingerprint {fingerprint}")
    if done := _done_before(asked.broker_name, fingerprint):
        asked.say(f"migrated already, at {done.started_at:%Y-%m-%d %H:%M:%S} UTC: nothing is changed")
        return Outcome(done.report, done, already=True)
    backup = asked.backup
    if not (asked.dry_run or backup):
        backup = back_up(source, asked.backups, started)
        asked.say(f"backup {backup}, opened and counted")
    with transaction.atomic():
        outcome = _move(source, asked, started, fingerprint, str(backup or ""))
        if asked.dry_run:
            transaction.set_rollback(True)
    return outcome


def account_for(broker_name: str, *, actor: str) -> tuple[BrokerAccount, bool]:
    """Find the account, or make it, disabled until a configuration says more; whether it was made.

    Raises:
        InvalidInput: it is not there, and no adapter has its name.
    """
    account = BrokerAccount.objects.select_for_update(no_key=True).filter(pk=broker_name).first()
    if account is not None:
        return account, False
    if broker_name not in adapter_names():
        known = ", ".join([*BrokerAccount.objects.values_list("pk", flat=True), *adapter_names()])
        raise InvalidInput("UNKNOWN_BROKER", f"no account or adapter is called {broker_name!r}; there are: {known}")
    account = BrokerAccount.objects.create(broker_name=broker_name, adapter=broker_name, enabled=False)
    AccountHealth.objects.create(account=account)
    after = {"adapter": account.adapter, "enabled": False}
    event = trail.event(
        "config.changed",
        actor=actor,
        entity="broker_account",
        entity_key=broker_name,
        broker_name=broker_name,
        after=after,
        reason="made for a migration; a configuration enables it",
    )
    trail.record(event)
    stop_if_restored(account)
    return account, True


def _move(source: Source, asked: Asked, started: datetime, fingerprint: str, backup: str) -> Outcome:
    _keep_others_out()
    account, made = account_for(asked.broker_name, actor=asked.actor)
    run = MigrationRun.objects.create(
        broker_name=account.pk,
        source=source.place[-255:],
        fingerprint=fingerprint,
        backup=backup[-255:],
        started_at=started,
        actor=asked.actor,
    )
    asked.say("moving")
    move = Move(source, account, run, asked.say)
    before = account.history_through
    with _collecting_rarely():
        move.all_tables()
    if move.history_through:
        account.history_through = max(move.history_through, before or move.history_through)
        account.save(update_fields=["history_through"])
    _tell_trail(move, asked.actor)
    asked.say("validating")
    found = list(checks(move))
    if problem := failed(found):
        raise problem
    run.ended_at = timezone.now()
    run.report = _report(move, found, made=made, dry_run=asked.dry_run, history_before=before)
    run.save(update_fields=["ended_at", "report"])
    return Outcome(run.report, None if asked.dry_run else run, checks=found)


def _done_before(broker_name: str, fingerprint: str) -> MigrationRun | None:
    return MigrationRun.objects.filter(broker_name=broker_name, fingerprint=fingerprint, undone_at=None).first()


def _keep_others_out() -> None:
    """On PostgreSQL, lock what is written to against other writers, and check keys as rows come.

    SQLite has one writer anyway. Readers go on.
    """
    if connection.vendor != "postgresql":
        return
    tables = ", ".join(f'"{name}"' for name in [*MODELS, *_LOCKED])
    with connection.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {tables} IN SHARE ROW EXCLUSIVE MODE")
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # a million deferred checks would be kept in memory


@contextmanager
def _collecting_rarely() -> Iterator[None]:
    """Look for circles of objects seldom: rows are none, and looking through thousands of them took a quarter more."""
    usual = gc.get_threshold()
    gc.set_threshold(OBJECTS, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def _tell_trail(move: Move, actor: str) -> None:
    """One event a table, and one for the whole."""
    facts = {"actor": actor, "entity": "migration", "entity_key": str(move.run.pk), "broker_name": move.account.pk}
    events = [
        trail.event("migration.table", **facts, after={"table": name, **_counts(tally)}, reason=move.source.place)
        for name, tally in move.tallies.items()
    ]
    whole = {"fingerprint": move.run.fingerprint, "backup": move.run.backup, "source": move.source.place}
    trail.record(*events, trail.event("migration.completed", **facts, after=whole, reason="single-broker history"))


def _report(move: Move, found: list[Check], **more: Any) -> dict[str, Any]:
    run = move.run
    return {
        "run": run.pk,
        "broker_name": run.broker_name,
        "source": move.source.place,
        "fingerprint": run.fingerprint,
        "backup": run.backup,
        "started_at": run.started_at.isoformat(),
        "ended_at": run.ended_at.isoformat(),
        "signed_off_by": run.actor,
        "tables": {name: _counts(tally) | _details(tally) for name, tally in move.tallies.items()},
        "without_a_home": move.source.counts(HOMELESS),
        "checks": as_dicts(found),
        "instruments_made": move.instruments_made,
        **{name: value.isoformat() if isinstance(value, datetime) else value for name, value in more.items()},
    }


def _counts(tally) -> dict[str, int]:
    return {
        "source": tally.source,
        "moved": tally.moved,
        "quarantined": tally.quarantined.total(),
        "known_before": tally.known,
    }


def _details(tally) -> dict[str, Any]:
    return {"reasons": dict(tally.quarantined), "rules": dict(tally.rules), "executions": tally.executions}


def _in_words(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())
