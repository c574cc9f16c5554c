"""Forms that end in a stage function: the desk's errors appear at the fields they name."""

from collections.abc import Callable, Iterable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from unfold import widgets

from tradingdesk.errors import DeskError

# What a stage function says when it will not: its own word, or a column's (a number no database stores exactly).
REFUSALS = (DeskError, ValidationError)


class ChoiceField(forms.ChoiceField):
    """A choice in the site's look; `empty` is what no choice reads as."""

    def __init__(self, *, choices: Iterable[tuple[str, str]], empty: str | None = None, **kwargs):
        choices = [*([("", empty)] if empty is not None else []), *choices]
        super().__init__(choices=choices, widget=widgets.UnfoldAdminSelectWidget, **kwargs)


class TextField(forms.CharField):
    """A line of text in the site's look. Numbers too are typed here: the stage function parses and judges them."""

    def __init__(self, *, placeholder: str = "", **kwargs):
        kwargs.setdefault("max_length", 80)
        super().__init__(
            widget=widgets.UnfoldAdminTextInputWidget({"placeholder": placeholder, "autocomplete": "off"}), **kwargs
        )


class SwitchField(forms.BooleanField):
    """Yes or no in the site's look."""

    def __init__(self, **kwargs):
        super().__init__(required=False, widget=widgets.UnfoldBooleanSwitchWidget, **kwargs)


class ReasonForm(forms.Form):
    """A reason, which nobody may leave out."""

    reason = forms.CharField(max_length=2000, widget=widgets.UnfoldAdminTextareaWidget({"rows": 2}))


def add_refusal(form: forms.Form, refusal: DeskError | ValidationError) -> None:
    """Show a refusal at the field it names, or above the form if there is no such field."""
    if isinstance(refusal, DeskError):
        name, texts = refusal.field, f"{refusal.detail} ({refusal.code})".splitlines()
    else:
        name, texts = next(iter(getattr(refusal, "error_dict", {})), ""), refusal.messages
    field = form.fields.get(name)
    form.add_error(None if field is None or field.widget.is_hidden else name, texts)


def carry_out(form: forms.Form, stage: Callable[[], Any]) -> Any | None:
    """Call the stage function of a valid form; None, with the error in the form, when the desk refuses."""
    try:
        return stage()
    except REFUSALS as refusal:
        add_refusal(form, refusal)
        return None
