"""Credentials that people chose to keep in the database: encrypted, never shown."""

from django.db import models
from django.utils import timezone


class Credential(models.Model):
    """One secret under a name, which the configuration refers to as `${db:NAME}`.

    `token` is readable only with a key of DESK_CREDENTIAL_KEY. What becomes of a credential is in the trail; that never
    holds a value, either.
    """

    name = models.CharField(max_length=64, primary_key=True)
    token = models.TextField(editable=False)
    set_at = models.DateTimeField(default=timezone.now, editable=False)
    set_by = models.CharField(max_length=150, editable=False)
    encrypted_at = models.DateTimeField(default=timezone.now, editable=False, help_text="set, or moved to another key")

    class Meta:
        db_table = "credentials"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
