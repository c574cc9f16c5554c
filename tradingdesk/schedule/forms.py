"""What people set of the schedule."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError as FieldError
from pydantic import ValidationError

from tradingdesk.backoffice.forms import ChoiceField, ReasonForm, SwitchField, TextField
from tradingdesk.config.schema import findings
from tradingdesk.schedule.entry import NAME_LENGTH, UTC, Entry
from tradingdesk.schedule.section import known_tasks


class EntryForm(ReasonForm):
    """One entry; of an existing one the name stays."""

    name = TextField(max_length=NAME_LENGTH)
    task = ChoiceField(choices=())
    every = forms.IntegerField(
        required=False, label="Every", help_text="seconds; or give a crontab", widget=TextField().widget
    )
    crontab = TextField(
        required=False, placeholder="30 13 * * 1-5", help_text="minute, hour, day of month, month, day of week"
    )
    timezone = TextField(required=False, placeholder="America/New_York", help_text="of the crontab; UTC when empty")
    kwargs = TextField(required=False, label="Arguments", help_text='as JSON: {"keep_days": 14}', max_length=2000)
    enabled = SwitchField(initial=True)

    field_order = ("name", "task", "every", "crontab", "timezone", "kwargs", "enabled", "reason")

    def __init__(self, data: Any, *, name: str = "", entry: Entry | None = None):
        super().__init__(data)
        self.fields["task"].choices = [(task, task) for task in known_tasks()]
        if name:
            self.fields["name"].initial, self.fields["name"].disabled = name, True
        for column, value in (entry.model_dump() if entry else {}).items():
            self.fields[column].initial = json.dumps(value) if column == "kwargs" and value else value or ""
        if entry:
            self.fields["enabled"].initial = entry.enabled

    def clean_kwargs(self) -> dict[str, Any]:
        """Read the arguments."""
        try:
            return json.loads(self.cleaned_data["kwargs"] or "{}")
        except ValueError as error:
            raise FieldError(f"no JSON: {error}") from error

    def clean(self) -> dict[str, Any]:
        """Read the whole as the configuration would."""
        found = super().clean()
        given = {key: found.get(key) for key in Entry.model_fields if key in found and found[key] not in (None, "")}
        try:
            found["entry"] = Entry.model_validate({"timezone": UTC, **given})
        except ValidationError as error:
            for loc, text in findings(error, Entry):
                self.add_error(loc[0] if loc and loc[0] in self.fields else None, text)
        return found


class TakeAwayForm(ReasonForm):
    """Why an entry is taken away."""
