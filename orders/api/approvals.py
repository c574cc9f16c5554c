"""Orders that wait for a second person, to read, approve and refuse."""

from django.shortcuts import get_object_or_404
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.generics import GenericAPIView, ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from orders.api.answers import DenialSerializer, DeniedSerializer, OrderSerializer, denied_answer, order_answer
from orders.approvals import approve_order, refuse_order
from orders.models import Approval, Order
from tradingdesk.errors import NotFound
from tradingdesk.fix import OrdStatus
from tradingdesk.http import text_body
from tradingdesk.reading import DeskSerializer


class ApprovalSerializer(DeskSerializer):
    client_order_id = serializers.CharField(source="order.client_order_id")
    symbol = serializers.CharField(source="order.symbol")
    order = OrderSerializer()
    breaks = DenialSerializer(many=True, help_text="the soft limits that the order passes")

    class Meta:
        model = Approval
        fields = [
            "client_order_id",
            "symbol",
            "state",
            "breaks",
            "asked_by",
            "asked_at",
            "expires_at",
            "decided_by",
            "decided_at",
            "reason",
            "order",
        ]


class ApprovalFilter(filters.FilterSet):
    symbol = filters.CharFilter(field_name="order__symbol")
    client_order_id = filters.CharFilter(field_name="order__client_order_id")

    class Meta:
        model = Approval
        fields = ["state", "asked_by"]


class ApprovalList(ListAPIView):
    """Orders that soft limits held back, the latest first; `state=waiting` are those to decide."""

    needs = {"GET": "orders.view_approval"}
    queryset = Approval.objects.select_related("order").prefetch_related("order__legs")
    serializer_class = ApprovalSerializer
    filterset_class = ApprovalFilter
    seek = ("-asked_at", "-id")


class DecisionBody(serializers.Serializer):
    """Why; nobody may leave it out."""

    reason = serializers.CharField()


class OrderApproval(GenericAPIView):
    """A held order, to approve."""

    needs = {"POST": "orders.approve_order"}
    queryset = Order.objects.all()
    serializer_class = OrderSerializer
    filter_backends = []

    @extend_schema(request=DecisionBody, responses={200: OrderSerializer, 422: DeniedSerializer})
    def post(self, request: Request, client_order_id: str) -> Response:
        """Approve the order of another person: it is judged again and sent, or 422 when the gate denies it by now.

        409 when it waits no more, or passes soft limits that it did not pass when it was last looked at.
        """
        order = approve_order(**_decision(request, client_order_id))
        if order.status == OrdStatus.DENIED:
            return denied_answer(order, order.denials, request)
        return order_answer(order, status.HTTP_200_OK, request)


class OrderRefusal(GenericAPIView):
    """A held order, to refuse."""

    needs = {"POST": "orders.approve_order"}
    queryset = Order.objects.all()
    serializer_class = OrderSerializer
    filter_backends = []

    @extend_schema(request=DecisionBody, responses={200: OrderSerializer})
    def post(self, request: Request, client_order_id: str) -> Response:
        """Refuse the order: it is closed as denied and never sent."""
        return order_answer(refuse_order(**_decision(request, client_order_id)), status.HTTP_200_OK, request)


def _decision(request: Request, client_order_id: str) -> dict:
    if "\0" in client_order_id:
        raise NotFound("NOT_FOUND", "there is no such order")
    given = text_body(request, reason="")
    order = get_object_or_404(Order.objects.select_related("submitted_by"), client_order_id=client_order_id)
    return {"order": order, "actor": request.user.get_username(), **given}
