"""One order's whole life on one screen: what was decided, asked, answered and recorded, and what can still be asked."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from orders.admin.life import life_of
from orders.admin.shared import SIDE_LABELS, STATUS_LABELS
from orders.changes import ReplaceDenied, parse_changes, request_cancel, request_replace
from orders.models import Order
from tradingdesk.backoffice.forms import REFUSALS, TextField, add_refusal, carry_out
from tradingdesk.fix import OrdType

TEMPLATE = "admin/orders/order/life.html"
_REPLACEABLE = {
    OrdType.MARKET: ("order_qty",),
    OrdType.LIMIT: ("order_qty", "price"),
    OrdType.STOP: ("order_qty", "stop_px"),
    OrdType.STOP_LIMIT: ("order_qty", "price", "stop_px"),
    OrdType.TRAILING_STOP: ("order_qty", "trail_price"),
}


class CancelForm(forms.Form):
    """A cancel; the reason goes to the trail."""

    reason = TextField(required=False, placeholder="why (optional)", max_length=500)


class ReplaceForm(forms.Form):
    """What may change of a working order; what is left empty stays."""

    order_qty = TextField(required=False, label="Quantity")
    price = TextField(required=False, label="Limit price")
    stop_px = TextField(required=False, label="Stop price")
    trail_price = TextField(required=False, label="Trail by price")
    reason = TextField(required=False, placeholder="why (optional)", max_length=500)

    def __init__(self, order: Order, data=None):
        super().__init__(data)
        for name in {"order_qty", "price", "stop_px", "trail_price"} - set(
            _REPLACEABLE.get(order.ord_type, ("order_qty",))
        ):
            del self.fields[name]

    def body(self) -> dict:
        """The changes, with what was left empty left out."""
        return {name: value for name, value in self.cleaned_data.items() if value and name != "reason"}


def order_view(model_admin, request: HttpRequest, object_id: str) -> HttpResponse:
    """Show an order's life."""
    if not model_admin.may(request, "view"):
        raise PermissionDenied
    order = model_admin.viewed(request, object_id)
    if order is None:
        return _missing(model_admin, request, object_id)
    return _render(model_admin, request, order)


def cancel_view(model_admin, request: HttpRequest, object_id: str) -> HttpResponse:
    """Request a cancel (POST)."""
    order = _order_to_change(model_admin, request, object_id, "cancel")
    if order is None:
        return _missing(model_admin, request, object_id)
    form = CancelForm(request.POST)
    actor = request.user.get_username()
    if not form.is_valid():
        return _render(model_admin, request, order, cancel_form=form)
    try:
        asked = request_cancel(order=order, actor=actor, reason=form.cleaned_data["reason"])
    except REFUSALS as refusal:
        add_refusal(form, refusal)
        return _render(model_admin, request, order, cancel_form=form)
    text = "The cancel was requested." if asked else "The order had not been sent: it is cancelled."
    model_admin.message_user(request, text, messages.SUCCESS)
    return redirect("admin:orders_order_change", order.pk)


def replace_view(model_admin, request: HttpRequest, object_id: str) -> HttpResponse:
    """Request a replace (POST)."""
    order = _order_to_change(model_admin, request, object_id, "change")
    if order is None:
        return _missing(model_admin, request, object_id)
    form = ReplaceForm(order, request.POST)
    changes = carry_out(form, lambda: parse_changes(form.body())) if form.is_valid() else None
    if changes is None:
        return _render(model_admin, request, order, replace_form=form)
    try:
        actor, reason = request.user.get_username(), form.cleaned_data["reason"]
        request_replace(order=order, changes=changes, actor=actor, reason=reason)
    except ReplaceDenied as refusal:
        return _render(model_admin, request, order, replace_form=form, replace_denials=refusal.denials)
    except REFUSALS as refusal:
        add_refusal(form, refusal)
        return _render(model_admin, request, order, replace_form=form)
    model_admin.message_user(request, "The replace was requested.", messages.SUCCESS)
    return redirect("admin:orders_order_change", order.pk)


def _order_to_change(model_admin, request: HttpRequest, object_id: str, action: str) -> Order | None:
    if request.method != "POST" or not (model_admin.may(request, "view") and model_admin.may(request, action)):
        raise PermissionDenied
    return model_admin.viewed(request, object_id)


def _missing(model_admin, request: HttpRequest, object_id: str) -> HttpResponse:
    model_admin.message_user(request, f"There is no order {object_id}.", messages.WARNING)
    return redirect("admin:orders_order_changelist")


def _render(model_admin, request: HttpRequest, order: Order, **forms_and_denials) -> HttpResponse:
    context = {
        "order": order,
        "life": life_of(order, may_see_trail=request.user.has_perm("tradingdesk.view_auditevent")),
        "status_label": STATUS_LABELS[order.status],
        "side_label": SIDE_LABELS[order.side],
        "may_cancel": order.is_cancellable and model_admin.may(request, "cancel"),
        "may_replace": order.is_open and model_admin.may(request, "change"),
        "cancel_form": CancelForm(),
        "replace_form": ReplaceForm(order),
    }
    return model_admin.page(request, TEMPLATE, title=f"Order {order}", **(context | forms_and_denials))
