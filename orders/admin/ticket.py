"""The order ticket: what people type, the preview, and the way into intake. It never saves an order itself."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone

from brokers.models import BrokerAccount
from orders.ids import new_client_order_id
from orders.intake import Submission, preview_order, submit_order
from orders.models import Order
from orders.ticket import OrderTicket, parse_ticket
from orders.waiting import WAITS
from tradingdesk.backoffice.forms import REFUSALS, ChoiceField, SwitchField, TextField, add_refusal, carry_out
from tradingdesk.errors import Conflict
from tradingdesk.fix import OrderClass, OrdStatus, OrdType, Side, TimeInForce

# Fields of the exits are called what errors call them: the exit and its part in an order body.
EXITS = {
    "take_profit.limit_price": ("Take profit at", "limit price of the exit"),
    "stop_loss.stop_price": ("Stop loss at", "stop price of the exit"),
    "stop_loss.limit_price": ("Stop loss limit", "makes it a stop-limit"),
}
TEMPLATE = "admin/orders/order/ticket.html"


class TicketForm(forms.Form):
    """The body of an order. Values are passed on as typed: `parse_ticket` is the one judge of them."""

    client_order_id = forms.CharField(max_length=48, widget=forms.HiddenInput)
    symbol = TextField(placeholder="IBM")
    side = ChoiceField(choices=Side.choices, empty="Buy or sell?")
    order_qty = TextField(required=False, label="Quantity", placeholder="units")
    notional = TextField(required=False, label="or amount", placeholder="in the instrument's currency")
    ord_type = ChoiceField(choices=OrdType.choices, label="Type", initial=OrdType.MARKET)
    price = TextField(required=False, label="Limit price")
    stop_px = TextField(required=False, label="Stop price")
    trail_price = TextField(required=False, label="Trail by price")
    trail_percent = TextField(required=False, label="or per cent")
    time_in_force = ChoiceField(choices=TimeInForce.choices, initial=TimeInForce.DAY)
    order_class = ChoiceField(choices=OrderClass.choices, label="Class", initial=OrderClass.SIMPLE, required=False)
    broker_name = ChoiceField(choices=(), required=False, label="Broker")
    strategy = TextField(required=False)
    extended_hours = SwitchField()

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        for name, (label, placeholder) in EXITS.items():
            self.fields[name] = TextField(required=False, label=label, placeholder=placeholder)
        first = list(self.base_fields)
        at = first.index("order_class") + 1
        self.order_fields([*first[:at], *EXITS, *first[at:]])
        enabled = BrokerAccount.objects.filter(enabled=True).values_list("pk", flat=True)
        self.fields["broker_name"].choices = [("", "the router chooses"), *((name, name) for name in enabled)]

    def body(self) -> dict:
        """The order body, with what was left empty left out."""
        given = {name: value for name, value in self.cleaned_data.items() if value not in ("", None, False)}
        for field in EXITS.keys() & given.keys():
            name, part = field.split(".")
            given.setdefault(name, {})[part] = given.pop(field)
        return given


def ticket_view(model_admin, request: HttpRequest) -> HttpResponse:
    """Show an empty ticket; preview or submit a filled one."""
    received_at = timezone.now()
    if request.method != "POST":
        return _render(model_admin, request, TicketForm(initial={"client_order_id": new_client_order_id()}))
    form = TicketForm(request.POST)
    ticket = carry_out(form, lambda: parse_ticket(form.body())) if form.is_valid() else None
    if ticket is None:
        return _render(model_admin, request, form)
    if "_submit" not in request.POST:
        measured = "_preview_risk" in request.POST and request.user.has_perm("risk.view_exposuretotal")
        asked = {"actor": request.user.get_username(), "measured": measured}
        preview = carry_out(form, lambda: preview_order(ticket=ticket, **asked))
        return _render(model_admin, request, form, preview=preview, measured=measured)
    return _submit(model_admin, request, form, ticket, received_at)


def _submit(model_admin, request: HttpRequest, form: TicketForm, ticket: OrderTicket, received_at) -> HttpResponse:
    try:
        submission = submit_order(
            ticket=ticket,
            actor=request.user.get_username(),
            user=request.user,
            source=Order.Source.ADMIN,
            received_at=received_at,
        )
    except Conflict:
        earlier = Order.objects.filter(client_order_id=ticket.client_order_id).first()
        return _render(model_admin, request, _renewed(request), earlier=earlier)
    except REFUSALS as refusal:
        add_refusal(form, refusal)
        return _render(model_admin, request, form)
    if submission.order.status == OrdStatus.DENIED:
        return _denied(model_admin, request, submission.order)
    return _accepted(model_admin, request, submission)


def _accepted(model_admin, request: HttpRequest, submission: Submission) -> HttpResponse:
    order = submission.order
    if submission.created and order.status == OrdStatus.PENDING_APPROVAL:
        text = f"Order {order} waits for a second person: {order.text.removeprefix(WAITS)}"
        model_admin.message_user(request, text, messages.WARNING)
    elif submission.created:
        where = f"goes to {order.account_id}" if order.account_id else "waits for routing"
        model_admin.message_user(request, f"Order {order} was accepted and {where}.", messages.SUCCESS)
    else:
        model_admin.message_user(
            request, f"This ticket had been submitted before; {order} is its one order.", messages.INFO
        )
    return redirect("admin:orders_order_change", order.pk)


def _denied(model_admin, request: HttpRequest, order: Order) -> HttpResponse:
    """Show the ticket again with the denials at their fields; sent again it is a new order."""
    form = _renewed(request)
    texts = [(denial["field"], f"{denial['detail']} ({denial['code']})") for denial in order.denials]
    for name, text in dict.fromkeys(texts):
        if name in form.fields and not form.fields[name].widget.is_hidden:
            form.add_error(name, text)
    return _render(model_admin, request, form, denied=order)


def _renewed(request: HttpRequest) -> TicketForm:
    """The ticket as typed, under a new id."""
    data = request.POST.copy()
    data["client_order_id"] = new_client_order_id()
    form = TicketForm(data)
    form.is_valid()
    return form


def _render(model_admin, request: HttpRequest, form: TicketForm, **context) -> HttpResponse:
    return model_admin.page(request, TEMPLATE, title="New order", form=form, **context)
