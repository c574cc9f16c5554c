"""The `database:` section: recorded with the rest, and read by settings when a process starts."""

from __future__ import annotations

from tradingdesk.config import schema


class Database(schema.Strict):
    """Where the database is. DATABASE_URL wins (`tradingdesk.config.location`)."""

    url: schema.Text | None = None


class Section(schema.Section):
    """`database:` of the configuration; there is nothing to apply before the next start."""

    schema = Database
