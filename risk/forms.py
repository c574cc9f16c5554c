"""What people type to change limits."""

from dataclasses import replace

from django import forms

from risk.limits import LimitValue
from risk.models import Control, Limit, Scope
from tradingdesk.backoffice.forms import ChoiceField, ReasonForm, SwitchField, TextField
from tradingdesk.fix import Side


class ScopedForm(ReasonForm):
    """What a limit or halt is about."""

    scope = ChoiceField(choices=Scope.choices, initial=Scope.FIRM)
    scope_key = TextField(
        required=False,
        label="Which one",
        help_text="account, symbol, strategy, user, asset class or adapter, “ann alpaca”; empty for the firm",
        max_length=255,
    )

    field_order = ("control", "scope", "scope_key", "value", "hard", "reason")


class LimitForm(ScopedForm):
    """One limit; of an existing one only value, severity and reason can be given."""

    control = ChoiceField(choices=[(one, one) for one in Control.values])
    value = forms.DecimalField(
        max_digits=24,
        decimal_places=9,
        widget=TextField(placeholder="amount, quantity, share (0 to 1), count or seconds; 1 for yes").widget,
    )
    hard = SwitchField(
        initial=True, help_text="denies; a soft limit has a second person approve, and may stand below a hard one"
    )

    def __init__(self, *args, of: Limit | None = None, **kwargs):
        super().__init__(*args, **kwargs)
        self.of = of
        if of is None:
            return
        for name in ("control", "scope", "scope_key"):
            self.fields[name].initial, self.fields[name].disabled = getattr(of, name), True
        self.fields["value"].initial, self.fields["hard"].initial = f"{of.value.normalize():f}", of.hard

    def clean_hard(self) -> bool:
        """Refuse to make it the limit that stands beside it already."""
        hard, of = self.cleaned_data["hard"], self.of
        if of is not None and hard is not of.hard:
            beside = Limit.objects.filter(control=of.control, scope=of.scope, scope_key=of.scope_key, hard=hard)
            if beside.exists():
                kind = "hard" if hard else "soft"
                raise forms.ValidationError(f"there is a {kind} one already: change that one, or remove this one")
        return hard

    def limit_values(self) -> list[LimitValue]:
        """What the stage function takes."""
        given = LimitValue(**{name: value for name, value in self.cleaned_data.items() if name != "reason"})
        was_other = self.of is not None and self.of.hard is not given.hard
        return [replace(given, value=None, hard=self.of.hard), given] if was_other else [given]


class RemoveLimitForm(ReasonForm):
    """Why a limit is taken away."""

    def __init__(self, *args, of: Limit, **kwargs):
        super().__init__(*args, **kwargs)
        self.of = of

    def limit_values(self) -> list[LimitValue]:
        """What the stage function takes: no value."""
        return [LimitValue(self.of.control, None, self.of.scope, self.of.scope_key, self.of.hard)]


class PortfolioRiskForm(forms.Form):
    """A tail, and a trade that is only thought of; all of it may be left out."""

    tail = TextField(required=False, placeholder="0.05", help_text="share of the worst days")
    symbol = TextField(required=False, max_length=32, label="Symbol of a trade")
    side = ChoiceField(choices=Side.choices, empty="–", required=False)
    order_qty = TextField(required=False, label="Quantity")
