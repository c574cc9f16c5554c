"""What rows that came from a legacy database have in common."""

from django.db import models

LEGACY_ID = "the row's id in the legacy database it came from"
LEGACY = "what the legacy row said that has no column here, and which rules its values were mapped by (`_rules`)"


def legacy_id_once(name: str) -> models.UniqueConstraint:
    """One row of an account for each row of its legacy database."""
    return models.UniqueConstraint(
        fields=["account", "legacy_id"], condition=models.Q(legacy_id__isnull=False), name=name
    )
