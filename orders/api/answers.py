"""An order in an answer, and the answers that are not lists."""

from typing import Any

from rest_framework import serializers, status
from rest_framework.response import Response
from rest_framework.reverse import reverse

from orders.models import Order
from risk.portfolio.api import TradeRiskSerializer
from tradingdesk.fields import plain
from tradingdesk.fix import OrderClass, OrdStatus, OrdType, Side, TimeInForce
from tradingdesk.reading import PlainDecimal


class DenialSerializer(serializers.Serializer):
    """One reason why the gate or the router said no; `broker_name` is empty when it is the firm's.

    Orders that were denied by earlier versions lack the last three.
    """

    code = serializers.CharField()
    detail = serializers.CharField()
    field = serializers.CharField(allow_blank=True)
    found = serializers.CharField(allow_blank=True)
    limit = serializers.CharField(allow_blank=True)
    broker_name = serializers.CharField(allow_blank=True)
    control = serializers.CharField(allow_blank=True, required=False, help_text="the limit that it is about")
    scope = serializers.CharField(allow_blank=True, required=False, help_text='whose limit: "firm", "symbol IBM"')
    passes = serializers.CharField(allow_blank=True, required=False, help_text="what would be let through")


class TakeProfitSerializer(serializers.Serializer):
    """The exit that was asked for to take profit."""

    limit_price = PlainDecimal()


class StopLossSerializer(serializers.Serializer):
    """The exit that was asked for against loss."""

    stop_price = PlainDecimal()
    limit_price = PlainDecimal(allow_null=True)


class LegSerializer(serializers.Serializer):
    """An order that was placed with another one, as it stands; it can be read whole by its own id."""

    client_order_id = serializers.CharField()
    leg_role = serializers.CharField(help_text="take_profit or stop_loss")
    broker_order_id = serializers.CharField(allow_null=True)
    side = serializers.ChoiceField(Side.choices)
    order_qty = PlainDecimal()
    ord_type = serializers.ChoiceField(OrdType.choices)
    price = PlainDecimal(allow_null=True)
    stop_px = PlainDecimal(allow_null=True)
    status = serializers.ChoiceField(OrdStatus.choices)
    cum_qty = PlainDecimal()
    leaves_qty = PlainDecimal(allow_null=True)
    avg_px = PlainDecimal(allow_null=True)


class OrderSerializer(serializers.Serializer):
    """An order: what was asked for, and what became of it. Written by hand (`render_order`): the list of a
    busy desk and every submission pass here."""

    client_order_id = serializers.CharField()
    broker_name = serializers.CharField(allow_null=True, help_text="null until routed")
    broker_order_id = serializers.CharField(allow_null=True, help_text="null until acknowledged")
    symbol = serializers.CharField()
    side = serializers.ChoiceField(Side.choices)
    order_qty = PlainDecimal(allow_null=True)
    notional = PlainDecimal(allow_null=True)
    ord_type = serializers.ChoiceField(OrdType.choices)
    price = PlainDecimal(allow_null=True)
    stop_px = PlainDecimal(allow_null=True)
    trail_price = PlainDecimal(allow_null=True)
    trail_percent = PlainDecimal(allow_null=True)
    time_in_force = serializers.ChoiceField(TimeInForce.choices)
    extended_hours = serializers.BooleanField()
    order_class = serializers.ChoiceField(OrderClass.choices)
    take_profit = TakeProfitSerializer(allow_null=True)
    stop_loss = StopLossSerializer(allow_null=True)
    leg_role = serializers.CharField(allow_blank=True, help_text="what a leg of another order is for")
    legs = LegSerializer(many=True)
    strategy = serializers.CharField(allow_blank=True)
    list_id = serializers.CharField(allow_blank=True)
    status = serializers.ChoiceField(OrdStatus.choices)
    cum_qty = PlainDecimal()
    leaves_qty = PlainDecimal(allow_null=True)
    avg_px = PlainDecimal(allow_null=True)
    outcome_unknown = serializers.BooleanField()
    denials = DenialSerializer(many=True)
    created_at = serializers.DateTimeField()
    sent_at = serializers.DateTimeField(allow_null=True)
    acknowledged_at = serializers.DateTimeField(allow_null=True)
    closed_at = serializers.DateTimeField(allow_null=True)
    text = serializers.CharField(allow_blank=True)

    def to_representation(self, order: Order) -> dict[str, Any]:
        return render_order(order)


class DeniedSerializer(serializers.Serializer):
    """A denial: the first reason in the form of an error, all of them, and the order."""

    code = serializers.CharField()
    detail = serializers.CharField()
    field = serializers.CharField(allow_blank=True)
    denials = DenialSerializer(many=True)
    order = OrderSerializer()


class PreviewSerializer(serializers.Serializer):
    """What would become of an order now."""

    allowed = serializers.BooleanField()
    needs_approval = serializers.BooleanField(help_text="it passes soft limits: a second person has to approve it")
    denials = DenialSerializer(many=True)
    warnings = DenialSerializer(many=True)
    accounts = serializers.DictField(help_text="the gate's answer for each account")
    routing = serializers.DictField(help_text="the chosen account, why, and every candidate in order")
    portfolio_risk = TradeRiskSerializer(
        allow_null=True, help_text="what it would change, once filled; null if not asked for or not measurable"
    )


def render_order(order: Order) -> dict[str, Any]:
    """Write an order as an answer shows it; asks the database for nothing but the legs of one that has some."""
    return {
        "client_order_id": order.client_order_id,
        "broker_name": order.account_id,
        "broker_order_id": order.broker_order_id,
        "symbol": order.symbol,
        "side": order.side,
        "order_qty": plain(order.order_qty),
        "notional": plain(order.notional),
        "ord_type": order.ord_type,
        "price": plain(order.price),
        "stop_px": plain(order.stop_px),
        "trail_price": plain(order.trail_price),
        "trail_percent": plain(order.trail_percent),
        "time_in_force": order.time_in_force,
        "extended_hours": order.extended_hours,
        "order_class": order.order_class,
        "take_profit": _take_profit(order),
        "stop_loss": _stop_loss(order),
        "leg_role": order.leg_role,
        "legs": [render_leg(leg) for leg in _legs(order)],
        "strategy": order.strategy,
        "list_id": order.list_id,
        "status": order.status,
        "cum_qty": plain(order.cum_qty),
        "leaves_qty": plain(order.leaves_qty),
        "avg_px": plain(order.avg_px),
        "outcome_unknown": order.outcome_unknown,
        "denials": order.denials,
        "created_at": order.created_at,
        "sent_at": order.sent_at,
        "acknowledged_at": order.acknowledged_at,
        "closed_at": order.closed_at,
        "text": order.text,
    }


def render_leg(leg: Order) -> dict[str, Any]:
    """Write a leg as the answer about its order shows it."""
    return {
        "client_order_id": leg.client_order_id,
        "leg_role": leg.leg_role,
        "broker_order_id": leg.broker_order_id,
        "side": leg.side,
        "order_qty": plain(leg.order_qty),
        "ord_type": leg.ord_type,
        "price": plain(leg.price),
        "stop_px": plain(leg.stop_px),
        "status": leg.status,
        "cum_qty": plain(leg.cum_qty),
        "leaves_qty": plain(leg.leaves_qty),
        "avg_px": plain(leg.avg_px),
    }


def _legs(order: Order) -> list[Order]:
    if not order.is_linked or order.parent_id or order.pk is None:
        return []
    return sorted(order.legs.all(), key=lambda leg: leg.pk)


def _take_profit(order: Order) -> dict[str, str] | None:
    return None if order.take_profit_px is None else {"limit_price": plain(order.take_profit_px)}


def _stop_loss(order: Order) -> dict[str, str | None] | None:
    if order.stop_loss_px is None:
        return None
    return {"stop_price": plain(order.stop_loss_px), "limit_price": plain(order.stop_loss_limit_px)}


def order_answer(order: Order, code: int, request) -> Response:
    """Answer with an order and where it is to be found."""
    return Response(render_order(order), status=code, headers={"Location": _url_of(order, request)})


def denied_answer(order: Order, denials: list[dict[str, Any]], request) -> Response:
    """Answer 422: the first denial as the error, then all of them and the order as it stands."""
    first = denials[0]
    error = {name: first.get(name, "") for name in ("code", "detail", "field")}
    body = {**error, "denials": denials, "order": render_order(order)}
    headers = {"Location": _url_of(order, request)}
    return Response(body, status=status.HTTP_422_UNPROCESSABLE_ENTITY, headers=headers)


def _url_of(order: Order, request) -> str:
    return reverse("order", args=[order.client_order_id], request=request)
