"""What people choose to compare versions of the configuration, and say to go back to one."""

from __future__ import annotations

from django import forms
from django.http import QueryDict

from tradingdesk.backoffice import shown
from tradingdesk.backoffice.forms import ChoiceField, ReasonForm, SwitchField
from tradingdesk.config.models import ConfigurationRecord

OFFERED_AT_MOST = 200


class CompareForm(forms.Form):
    """Two versions."""

    before = ChoiceField(choices=(), label="From")
    after = ChoiceField(choices=(), label="To")
    only = SwitchField(label="Only what differs")

    def __init__(self, query: QueryDict):
        """Take what is asked for; else the latest version and the one before it."""
        latest = list(ConfigurationRecord.objects.values_list("version", flat=True)[:2])
        given = {"after": latest[0] if latest else "", "before": latest[-1] if latest else ""} | query.dict()
        super().__init__(given)
        choices = _choices([given["before"], given["after"]])
        for name in ("before", "after"):
            self.fields[name].choices = choices

    def versions(self) -> tuple[ConfigurationRecord, ConfigurationRecord] | None:
        """The two that were chosen; None when one of them is not there."""
        if not self.is_valid():
            return None
        chosen = [int(self.cleaned_data[name]) for name in ("before", "after")]
        found = {record.version: record for record in ConfigurationRecord.objects.filter(version__in=chosen)}
        return found[chosen[0]], found[chosen[1]]


class ReturnForm(ReasonForm):
    """Why to go back; `seen` is the version that was in force when the person looked."""

    seen = forms.IntegerField(widget=forms.HiddenInput)


def _choices(asked: list) -> list[tuple[str, str]]:
    """The latest versions, and those that are asked for."""
    rows = ConfigurationRecord.objects.only("version", "changed_at", "changed_by", "reason")
    numbers = [int(number) for number in asked if _is_small(number)]
    found = {row.version: row for row in [*rows[:OFFERED_AT_MOST], *rows.filter(version__in=numbers)]}
    return [(str(version), _title(found[version])) for version in sorted(found, reverse=True)]


def _is_small(number: object) -> bool:
    text = str(number).removeprefix("-")
    return text.isascii() and text.isdigit() and len(text) < 10


def _title(record: ConfigurationRecord) -> str:
    words = f"{record.version} – {shown.stamp(record.changed_at)[:16]}, {record.changed_by}"
    return f"{words}: {record.reason[:60]}" if record.reason else words
