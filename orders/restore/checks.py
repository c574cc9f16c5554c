"""Whether a database that came back is one that the desk can trade on."""

from collections.abc import Mapping
from itertools import islice

from django.apps import apps
from django.db import IntegrityError, connection
from django.db.migrations.loader import MigrationLoader

from orders.books import discrepancies
from tradingdesk.audit.protection import missing_triggers, protect_facts
from tradingdesk.errors import DeskError, InvalidInput

TOLD_AT_MOST = 20


class ChecksFailed(DeskError):
    """What came back does not hold; nothing of it was put in place."""


def refuse_newer(migrations: Mapping[str, list[str]]) -> None:
    """Refuse a database that a newer desk has made; an older one is migrated forward.

    Raises:
        InvalidInput: it has migrations that this desk does not know.
    """
    known = set(MigrationLoader(None, ignore_no_migrations=True).disk_migrations)
    unknown = sorted({(app, name) for app, names in migrations.items() for name in names} - known)
    if unknown:
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        told = f"{'.'.join(unknown[0])}{more}"
        raise InvalidInput(
            "BACKUP_TOO_NEW", f"a newer desk made it: migration {told} is not known here; take that desk"
        )


def check_structure() -> None:
    """Look that no row points at nothing, and put the triggers of facts back.

    Raises:
        ChecksFailed: there are such rows, or a trigger cannot be had.
    """
    try:
        connection.check_constraints([model._meta.db_table for model in apps.get_models(include_auto_created=True)])
    except IntegrityError as error:
        raise ChecksFailed("FOREIGN_KEY_BROKEN", f"foreign keys: {' '.join(str(error).split())}") from error
    if unchecked := _unchecked_constraints():
        raise ChecksFailed("CONSTRAINT_NOT_VALID", f"constraints that do not hold: {', '.join(unchecked[:5])}")
    protect_facts()
    if missing := missing_triggers():
        raise ChecksFailed("TRIGGERS_MISSING", f"facts are not protected: {', '.join(missing[:5])}")


def check_books() -> list[str]:
    """Say what does not hold of orders, positions, totals and the trail: the first few, as one fault shows often."""
    return list(islice(discrepancies(), TOLD_AT_MOST))


def _unchecked_constraints() -> list[str]:
    """PostgreSQL checks a constraint as it is made, unless that was left out; SQLite's were looked at row by row."""
    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conname FROM pg_constraint WHERE NOT convalidated AND connamespace = current_schema()::regnamespace"
        )
        return [name for (name,) in cursor.fetchall()]
