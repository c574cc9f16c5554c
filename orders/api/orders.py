"""Orders over HTTP: submit, preview, read, change, cancel. Each view parses, calls one stage function, renders."""

from dataclasses import asdict

from django.core.exceptions import PermissionDenied
from django.db.models import prefetch_related_objects
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import serializers, status
from rest_framework.generics import GenericAPIView, ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from orders.api.answers import DeniedSerializer, OrderSerializer, PreviewSerializer, denied_answer, order_answer
from orders.changes import ReplaceDenied, parse_changes, request_cancel, request_replace
from orders.intake import preview_order, submit_order
from orders.models import Order
from orders.ticket import parse_ticket
from risk.portfolio.api import TradeRiskSerializer
from tradingdesk.errors import InvalidInput, NotFound
from tradingdesk.fix import OrderClass, OrdStatus, OrdType, Side, TimeInForce
from tradingdesk.http import json_object
from tradingdesk.reading import PlainDecimal


class TakeProfitBody(serializers.Serializer):
    """A limit order that closes with a profit."""

    limit_price = PlainDecimal()


class StopLossBody(serializers.Serializer):
    """A stop that closes with a loss; with a limit, a stop-limit."""

    stop_price = PlainDecimal()
    limit_price = PlainDecimal(required=False, allow_null=True)


class OrderBody(serializers.Serializer):
    """An order as asked for: exactly one of `order_qty` and `notional`. It describes what `parse_ticket` reads."""

    symbol = serializers.CharField(max_length=32)
    side = serializers.ChoiceField(Side.choices)
    order_qty = PlainDecimal(required=False, allow_null=True)
    notional = PlainDecimal(required=False, allow_null=True)
    ord_type = serializers.ChoiceField(OrdType.choices, default=OrdType.MARKET)
    price = PlainDecimal(required=False, allow_null=True)
    stop_px = PlainDecimal(required=False, allow_null=True)
    trail_price = PlainDecimal(required=False, allow_null=True)
    trail_percent = PlainDecimal(required=False, allow_null=True)
    time_in_force = serializers.ChoiceField(TimeInForce.choices, default=TimeInForce.DAY)
    extended_hours = serializers.BooleanField(default=False)
    order_class = serializers.ChoiceField(
        OrderClass.choices,
        default=OrderClass.SIMPLE,
        help_text="bracket and oco take both exits, oto one of them; an oco order is itself the take-profit",
    )
    take_profit = TakeProfitBody(required=False, allow_null=True)
    stop_loss = StopLossBody(required=False, allow_null=True)
    broker_name = serializers.CharField(required=False, allow_null=True, help_text="goes there or nowhere")
    client_order_id = serializers.RegexField(r"^[A-Za-z0-9._-]{1,40}$", required=False, allow_null=True)
    strategy = serializers.CharField(required=False, allow_null=True, max_length=64)
    list_id = serializers.CharField(
        required=False, allow_null=True, max_length=40, help_text="the parent order that this one is a part of"
    )
    defer = serializers.BooleanField(default=False, help_text="decide in the background; the answer is pending")


class ChangesBody(serializers.Serializer):
    """What to change of a working order; what is not named stays."""

    order_qty = PlainDecimal(required=False)
    price = PlainDecimal(required=False)
    stop_px = PlainDecimal(required=False)
    trail_price = PlainDecimal(required=False)


class OrderFilter(filters.FilterSet):
    broker_name = filters.CharFilter(field_name="account_id")
    created_after = filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="gt")
    created_before = filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="lt")

    class Meta:
        model = Order
        fields = ["client_order_id", "symbol", "status", "side", "strategy"]


class OrderList(ListAPIView):
    """The desk's orders, the latest first; legs of others are orders of their own."""

    needs = {"GET": "orders.view_order", "POST": "orders.add_order"}
    queryset = Order.objects.all()
    serializer_class = OrderSerializer
    filterset_class = OrderFilter
    seek = ("-created_at", "-id")

    def paginate_queryset(self, queryset):
        page = super().paginate_queryset(queryset)
        prefetch_related_objects([order for order in page or () if order.is_linked], "legs")
        return page

    def initial(self, request: Request, *args, **kwargs) -> None:
        self.received_at = timezone.now()
        super().initial(request, *args, **kwargs)

    @extend_schema(request=OrderBody, responses={201: OrderSerializer, 200: OrderSerializer, 422: DeniedSerializer})
    def post(self, request: Request) -> Response:
        """Submit an order: 201 when it is accepted, 422 when risk or routing denies it.

        The same `client_order_id` and body again is answered with the same order, 200 (422 if it was denied).
        """
        submission = submit_order(
            ticket=parse_ticket(json_object(request)),
            actor=request.user.get_username(),
            user=request.user,
            source=Order.Source.API,
            received_at=self.received_at,
        )
        order = submission.order
        if order.status == OrdStatus.DENIED:
            return denied_answer(order, order.denials, request)
        return order_answer(order, status.HTTP_201_CREATED if submission.created else status.HTTP_200_OK, request)


class OrderDetail(GenericAPIView):
    """One order, by its exact client id."""

    needs = {"GET": "orders.view_order", "PATCH": "orders.change_order", "DELETE": "orders.cancel_order"}
    queryset = Order.objects.all()
    serializer_class = OrderSerializer
    filter_backends = []

    @extend_schema(responses={200: OrderSerializer})
    def get(self, request: Request, client_order_id: str) -> Response:
        """Read an order."""
        return order_answer(self._order(client_order_id), status.HTTP_200_OK, request)

    @extend_schema(request=ChangesBody, responses={202: OrderSerializer, 422: DeniedSerializer})
    def patch(self, request: Request, client_order_id: str) -> Response:
        """Ask the broker to change a working order; 422 when risk denies the change, and the order stands."""
        order = self._order(client_order_id)
        changes = parse_changes(json_object(request))
        try:
            request_replace(order=order, changes=changes, actor=request.user.get_username())
        except ReplaceDenied as refusal:
            return denied_answer(self._order(client_order_id), refusal.denials, request)
        return order_answer(self._order(client_order_id), status.HTTP_202_ACCEPTED, request)

    @extend_schema(
        parameters=[OpenApiParameter("reason", OpenApiTypes.STR, description="for the audit trail")],
        responses={202: OrderSerializer},
    )
    def delete(self, request: Request, client_order_id: str) -> Response:
        """Ask the broker to cancel an order. It is cancelled when the broker says so: read it again."""
        order = self._order(client_order_id)
        reason = request.query_params.get("reason", "")
        request_cancel(order=order, actor=request.user.get_username(), reason=_storable(reason))
        return order_answer(self._order(client_order_id), status.HTTP_202_ACCEPTED, request)

    def _order(self, client_order_id: str) -> Order:
        if "\0" in client_order_id:
            raise NotFound("NOT_FOUND", "there is no such order")
        return get_object_or_404(Order, client_order_id=client_order_id)


@extend_schema_view(**dict.fromkeys(("get", "patch", "delete"), extend_schema(exclude=True)))
class OrderPreview(OrderDetail):
    """What would become of an order now; nothing is stored or sent. An order called "preview" is here too."""

    needs = {**OrderDetail.needs, "POST": "orders.add_order"}

    @extend_schema(
        request=OrderBody,
        responses={200: PreviewSerializer},
        parameters=[
            OpenApiParameter(
                "portfolio_risk", OpenApiTypes.BOOL, description="true: also what it would change of VaR and shortfall"
            )
        ],
    )
    def post(self, request: Request, client_order_id: str) -> Response:
        """Ask the gate and the router about an order; the answer is 200 also when they would deny it."""
        ticket, measured = parse_ticket(json_object(request)), _is_measured(request)
        preview = preview_order(ticket=ticket, actor=request.user.get_username(), measured=measured)
        risk = preview.portfolio_risk and TradeRiskSerializer(preview.portfolio_risk).data
        return Response(asdict(preview) | {"portfolio_risk": risk})


def _is_measured(request: Request) -> bool:
    """Whether the portfolio's risk is asked for, by who may see it."""
    given = request.query_params.get("portfolio_risk", "false")
    if given not in ("true", "false"):
        raise InvalidInput("INVALID_VALUE", f"portfolio_risk={given[:40]}: expected true or false", "portfolio_risk")
    if given == "true" and not request.user.has_perm("risk.view_exposuretotal"):
        raise PermissionDenied
    return given == "true"


def _storable(text: str) -> str:
    if "\0" in text:
        raise InvalidInput("INVALID_TEXT", "reason: holds a character that cannot be stored", "reason")
    return text
