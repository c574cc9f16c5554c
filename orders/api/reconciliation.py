"""Breaks between desk and brokers, to read and to resolve."""

from django.shortcuts import get_object_or_404
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import GenericAPIView, ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from orders.models import ReconciliationBreak
from orders.reconcile.resolution import ACCEPT, KEEP, resolve_break
from tradingdesk.http import text_body
from tradingdesk.reading import DeskSerializer


class BreakSerializer(DeskSerializer):
    broker_name = serializers.CharField(source="account_id")
    client_order_id = serializers.CharField(source="order.client_order_id", allow_null=True, default=None)
    owner = serializers.CharField(source="owner.username", allow_null=True, default=None)
    safe = serializers.BooleanField(help_text="reading again mends it; it blocks nothing")
    proposal = serializers.CharField(help_text="what to do about it")

    class Meta:
        model = ReconciliationBreak
        fields = [
            "id",
            "broker_name",
            "kind",
            "key",
            "symbol",
            "client_order_id",
            "desk_value",
            "broker_value",
            "safe",
            "proposal",
            "state",
            "owner",
            "opened_at",
            "seen_at",
            "resolution",
            "resolved_at",
            "resolved_by",
            "reason",
        ]


class BreakFilter(filters.FilterSet):
    broker_name = filters.CharFilter(field_name="account_id")

    class Meta:
        model = ReconciliationBreak
        fields = ["kind", "symbol", "state"]


class BreakList(ListAPIView):
    """Where desk and broker do not agree, or did not, the latest first."""

    needs = {"GET": "orders.view_reconciliationbreak"}
    queryset = ReconciliationBreak.objects.select_related("order", "owner")
    serializer_class = BreakSerializer
    filterset_class = BreakFilter
    seek = ("-opened_at", "-id")


class ResolutionBody(serializers.Serializer):
    """Whose word counts, and why."""

    take = serializers.ChoiceField(choices=[ACCEPT, KEEP], help_text="accept the broker's word, or keep the desk's")
    reason = serializers.CharField()


class BreakResolution(GenericAPIView):
    """One break, to resolve."""

    needs = {"POST": "orders.resolve_break"}
    queryset = ReconciliationBreak.objects.select_related("account", "order", "owner")
    serializer_class = BreakSerializer
    filter_backends = []

    @extend_schema(request=ResolutionBody, responses={200: BreakSerializer})
    def post(self, request: Request, pk: int) -> Response:
        """End a break: take the broker's word, booking what that takes, or keep the desk's. A reason is required."""
        row = get_object_or_404(self.get_queryset(), pk=pk)
        decision = text_body(request, take="", reason="")
        resolved = resolve_break(row=row, **decision, actor=request.user.get_username())
        return Response(BreakSerializer(resolved).data)
