"""Restoring the desk: from a backup into an empty place, or onto a database that was brought back by other means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.core.management import call_command
from django.db import transaction

from orders.restore.checks import ChecksFailed, check_books, check_structure, refuse_newer
from orders.restore.life import begin_new_life
from risk.halts import halt
from risk.models import Scope
from tradingdesk.backup.bundle import Bundle
from tradingdesk.backup.places import own_place
from tradingdesk.errors import InvalidInput

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for. `despite` takes books that do not balance, and halts the firm until a person has looked."""

    actor: str
    say: Say
    despite: bool = False


def restore(bundle: Bundle, asked: Asked) -> int:
    """Restore a backup into the desk's database, which must be empty; the epoch of the ids from now on.

    Nobody can use the database before all of it is done; one that was interrupted is begun again by the next.

    Raises:
        InvalidInput: the backup is of another kind of database, or of a newer desk; nothing was done.
        Conflict: the place is not empty, or in use; nothing was done.
        BackupFailed, ChecksFailed: it does not hold what it should; nobody can use it, and the next begins anew.
        ProgramFailed: PostgreSQL's programs are missing or failed.
    """
    manifest, place = bundle.manifest, own_place()
    if manifest.engine != place.engine:
        detail = f"{bundle.path}: a backup of {manifest.engine}; the desk's database is {place.engine}"
        raise InvalidInput("OTHER_DATABASE", f"{detail}: set DATABASE_URL to one of that kind")
    refuse_newer(manifest.migrations)
    place.refuse_unless_empty()
    asked.say(f"restoring {bundle.path.name} of {manifest.made_at}, {sum(manifest.tables.values()):,} rows")
    with place.filled(bundle, asked.say):
        asked.say("bringing its tables up to this desk")
        call_command("migrate", verbosity=0, interactive=False)
        facts = {"backup": bundle.path.name, "sha256": bundle.sha256, "made_at": manifest.made_at}
        epoch = _begin(asked, f"restored from the backup of {manifest.made_at[:19]}", facts, place.finish)
    return epoch


def take_over(asked: Asked) -> int:
    """Make the desk's database, which was brought back by other means, safe to trade on; the epoch of its ids.

    For a point-in-time recovery, a copy of files, or a standby that had not heard of the last commits.

    Raises:
        Conflict: others are connected to it; nothing was changed.
        ChecksFailed: it does not hold; nothing was changed.
    """
    own_place().refuse_unless_alone()
    call_command("migrate", verbosity=0, interactive=False)
    return _begin(asked, "recovered from the past", {}, lambda: None)


def _begin(asked: Asked, origin: str, facts: dict[str, Any], finish: Callable[[], None]) -> int:
    """Check everything, then begin the new life; all that it changes is one transaction."""
    asked.say("checking foreign keys and the protection of facts")
    check_structure()
    asked.say("checking orders, positions, exposure and the trail")
    wrong = check_books()
    for line in wrong:
        asked.say(f"  {line}")
    if wrong and not asked.despite:
        raise ChecksFailed(
            "BOOKS_DO_NOT_BALANCE", f"the books do not balance in {len(wrong)} places or more, see above"
        )
    with transaction.atomic():
        epoch = begin_new_life(actor=asked.actor, origin=origin, facts=facts | {"discrepancies": wrong})
        if wrong:
            reason = f"{origin} though its books do not balance in {len(wrong)} places: look, then resume"
            halt(scope=Scope.FIRM, reason=reason, actor=asked.actor)
        finish()
    return epoch
