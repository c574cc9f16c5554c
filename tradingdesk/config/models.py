"""Every configuration the desk has run with: who, when, from where, why, and what changed."""

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils import timezone

from tradingdesk.config.document import Document, parse_document
from tradingdesk.config.written import as_yaml, with_numbers
from tradingdesk.facts import Fact


class ConfigurationRecord(Fact):
    """One version of the whole configuration. Secrets are in it as `${NAME}`, never as values.

    The desk's own versions begin at 1. Those below are the changes that a legacy database told of, the latest nearest
    to 0; each has only the section it changed, and its row's id there.
    """

    version = models.IntegerField(unique=True)
    changed_at = models.DateTimeField(default=timezone.now)
    changed_by = models.CharField(max_length=150)
    source = models.CharField(max_length=255, blank=True, default="")
    reason = models.TextField(blank=True, default="")
    whole = models.JSONField(encoder=DjangoJSONEncoder)
    diff = models.JSONField(encoder=DjangoJSONEncoder)
    text = models.TextField(
        blank=True, default="", help_text="the whole as a file that can be loaded; empty in versions older than this"
    )
    loaded = models.JSONField(
        encoder=DjangoJSONEncoder,
        null=True,
        blank=True,
        help_text="what the loaded file says, where people have set something else since",
    )
    legacy_id = models.BigIntegerField(null=True, blank=True, editable=False)

    class Meta:
        db_table = "configuration_history"
        ordering = ["-version"]
        permissions = [("enact_configurationrecord", "Can put an earlier configuration in force again")]

    def __str__(self) -> str:
        return f"version {self.version}"

    @property
    def file(self) -> dict:
        """What the file says that was loaded last, at this version."""
        return self.whole if self.loaded is None else self.loaded

    @property
    def is_whole(self) -> bool:
        """Whether it is a configuration of this desk; a legacy database tells only of changes."""
        return self.version > 0

    def as_text(self) -> str:
        """The whole as a file that can be loaded."""
        return self.text or as_yaml(with_numbers(self.whole))

    def document(self) -> Document:
        """The whole with its values as they were read, and the lines they have in `text`."""
        if self.text:
            return parse_document(str(self), self.text)
        return Document(str(self), with_numbers(self.whole), {})
