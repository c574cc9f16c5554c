"""What people type to change limits."""

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

    control = ChoiceField(choices=Control.choices)
    value = forms.DecimalField(
        max_digits=24,
        decimal_places=9,
        widget=TextField(placeholder="amount, quantity, share (0 to 1), count or seconds; 1 for yes").widget,
    )
    hard = SwitchField(initial=True, help_text="refuses; otherwise it only warns")

    def __init__(self, *args, of: Limit | None = None, **kwargs):
        super().__init__(*args, **kwargs)
        if of is None:
            return
        for name in ("control", "scope", "scope_key"):
            self.fields[name].initial, self.fields[name].disabled = getattr(of, name), True
        self.fields["value"].initial, self.fields["hard"].initial = f"{of.value.normalize():f}", of.hard

    def limit_value(self, of: Limit | None) -> LimitValue:
        """What the stage function takes."""
        given = {name: value for name, value in self.cleaned_data.items() if name != "reason"}
        return LimitValue(**given)


class RemoveLimitForm(ReasonForm):
    """Why a limit is taken away."""

    def limit_value(self, of: Limit) -> LimitValue:
        """What the stage function takes: no value."""
        return LimitValue(of.control, None, of.scope, of.scope_key)


class PortfolioRiskForm(forms.Form):
    """A tail, and a trade that is only thought of; all of it may be left out."""

    tail = TextField(required=False, placeholder="0.05", help_text="share of the worst days")
    symbol = TextField(required=False, max_length=32, label="Symbol of a trade")
    side = ChoiceField(choices=Side.choices, empty="–", required=False)
    order_qty = TextField(required=False, label="Quantity")
