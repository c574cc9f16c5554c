"""What people type to keep a credential; a value that was typed is never given back, not even when it is refused."""

from __future__ import annotations

from typing import Any

from django import forms
from unfold import widgets

from tradingdesk.backoffice.forms import ReasonForm, TextField
from tradingdesk.credentials.models import Credential
from tradingdesk.credentials.store import LONGEST
from tradingdesk.redaction.known import remember


class SecretField(forms.CharField):
    """A value that goes in and is never shown; from here on it is masked in whatever this process says."""

    def __init__(self, **kwargs):
        widget = widgets.UnfoldAdminPasswordWidget({"autocomplete": "new-password"}, render_value=False)
        super().__init__(widget=widget, max_length=LONGEST, **kwargs)

    def to_python(self, value: Any) -> str:
        text = super().to_python(value)
        remember(text)
        return text


class CredentialForm(ReasonForm):
    """A new credential, or another value for the one there is."""

    name = TextField(max_length=64, help_text="letters, digits and _; configuration refers to it as ${db:NAME}")
    secret = SecretField(help_text="never shown again, to anybody")

    field_order = ("name", "secret", "reason")

    def __init__(self, *args, of: Credential | None = None, **kwargs):
        super().__init__(*args, **kwargs)
        if of is not None:
            self.fields["name"].initial, self.fields["name"].disabled = of.name, True

    def credential(self) -> dict[str, str]:
        """What the stage function takes."""
        given = self.cleaned_data
        return {"name": given["name"], "value": given["secret"], "reason": given["reason"]}
