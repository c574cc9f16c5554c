"""Facts: rows that are written once. The database refuses to change them (`tradingdesk.audit.protection`)."""

from django.db import models


class FactChangeRefused(Exception):
    """Someone tried to change or delete a fact through the ORM."""


class FactQuerySet(models.QuerySet):
    """Reads and inserts; an update or delete is refused before it reaches the database."""

    def update(self, **kwargs):
        raise FactChangeRefused(f"{self.model._meta.db_table}: facts are written once")

    def delete(self):
        raise FactChangeRefused(f"{self.model._meta.db_table}: facts are written once")


class Fact(models.Model):
    """Base of append-only tables."""

    objects = FactQuerySet.as_manager()

    class Meta:
        abstract = True

    def save(self, *args, **kwargs):
        if not self._state.adding:
            raise FactChangeRefused(f"{self._meta.db_table}: facts are written once")
        super().save(*args, **kwargs)

    def delete(self, *args, **kwargs):
        raise FactChangeRefused(f"{self._meta.db_table}: facts are written once")
