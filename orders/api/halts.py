"""Halts over HTTP: read, set by level, clear; and flatten."""

from django.shortcuts import get_object_or_404
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers, status
from rest_framework.generics import GenericAPIView, ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from orders.flattening import positions_to_close
from orders.halting import CONFIRM_FLATTEN, counts_of, flatten, stop
from risk.halts import resume
from risk.models import Halt, HaltedScope, Level, Operation
from tradingdesk.http import text_body
from tradingdesk.reading import DeskSerializer, PlainDecimal


class CancelsSerializer(serializers.Serializer):
    """What became of the orders that a halt wants cancelled."""

    orders = serializers.IntegerField(help_text="found open in its scope")
    unsent = serializers.IntegerField(help_text="no broker had them: cancelled here")
    waiting = serializers.IntegerField(help_text="cancels that are not sent yet")
    dispatched = serializers.IntegerField(help_text="cancels that were sent to a broker")
    acknowledged = serializers.IntegerField(help_text="of these, orders that the broker has ended")
    still_open = serializers.IntegerField(help_text="orders that may trade, as far as the desk knows")


class PositionToCloseSerializer(serializers.Serializer):
    """A position that a flatten has not closed yet."""

    broker_name = serializers.CharField()
    symbol = serializers.CharField()
    qty = PlainDecimal(help_text="signed: short below zero")
    closing_qty = PlainDecimal(help_text="units that its closing orders may still trade")
    problem = serializers.CharField(help_text="why the last closing order did not get through")


class HaltSerializer(DeskSerializer):
    in_force = serializers.SerializerMethodField()

    class Meta:
        model = Halt
        fields = [
            "id",
            "scope",
            "scope_key",
            "level",
            "operation",
            "flatten",
            "trigger",
            "reason",
            "set_by",
            "set_at",
            "in_force",
            "cleared_by",
            "cleared_at",
            "clear_reason",
        ]

    def get_in_force(self, row: Halt) -> bool:
        return row.cleared_at is None


class HaltStateSerializer(HaltSerializer):
    """A halt with what it has done so far."""

    cancels = serializers.SerializerMethodField()
    held = serializers.SerializerMethodField(help_text="of a flatten: what is not closed yet")

    class Meta(HaltSerializer.Meta):
        fields = [*HaltSerializer.Meta.fields, "cancels", "held"]

    @extend_schema_field(CancelsSerializer)
    def get_cancels(self, row: Halt) -> dict:
        return CancelsSerializer(counts_of(row)).data

    @extend_schema_field(PositionToCloseSerializer(many=True))
    def get_held(self, row: Halt) -> list[dict]:
        return PositionToCloseSerializer(positions_to_close(row) if row.flatten else [], many=True).data


class HaltBody(serializers.Serializer):
    """A halt as asked for; `scope_key` is the account's name or the symbol, empty for the firm."""

    scope = serializers.ChoiceField(choices=HaltedScope.choices, default=HaltedScope.FIRM)
    scope_key = serializers.CharField(default="", allow_blank=True)
    level = serializers.ChoiceField(choices=Level.choices, default=Level.FREEZE)
    operation = serializers.ChoiceField(
        choices=Operation.choices, default="", allow_blank=True, help_text="what level reject rejects"
    )
    reason = serializers.CharField()


class FlattenBody(serializers.Serializer):
    """What to close, and the word that says so."""

    scope = serializers.ChoiceField(choices=HaltedScope.choices, default=HaltedScope.FIRM)
    scope_key = serializers.CharField(default="", allow_blank=True)
    confirm = serializers.ChoiceField(choices=[CONFIRM_FLATTEN])
    reason = serializers.CharField()


class HaltFilter(filters.FilterSet):
    in_force = filters.BooleanFilter(field_name="cleared_at", lookup_expr="isnull")

    class Meta:
        model = Halt
        fields = ["scope", "scope_key", "level"]


class HaltList(ListAPIView):
    """Stops of trading, the latest first."""

    needs = {"GET": "risk.view_halt", "POST": "risk.add_halt"}
    queryset = Halt.objects.all()
    serializer_class = HaltSerializer
    filterset_class = HaltFilter
    seek = ("-set_at", "-id")

    @extend_schema(request=HaltBody, responses={201: HaltStateSerializer})
    def post(self, request: Request) -> Response:
        """Stop orders of the firm, an account or a symbol, as far as the level goes.

        The halt in force when there is one already. Level cancel_all asks for the cancels at once; ask for the halt
        again to see what became of them.
        """
        texts = text_body(request, scope=HaltedScope.FIRM, scope_key="", level=Level.FREEZE, operation="", reason="")
        made = stop(**texts, actor=request.user.get_username())
        return Response(HaltStateSerializer(made).data, status=status.HTTP_201_CREATED)


class HaltDetail(GenericAPIView):
    """One halt, to look at and to clear."""

    needs = {"GET": "risk.view_halt", "DELETE": "risk.clear_halt"}
    queryset = Halt.objects.all()
    serializer_class = HaltStateSerializer
    filter_backends = []

    def get(self, request: Request, pk: int) -> Response:
        """One halt, with cancels dispatched and acknowledged counted apart."""
        return Response(HaltStateSerializer(get_object_or_404(Halt, pk=pk)).data)

    @extend_schema(
        parameters=[OpenApiParameter("reason", OpenApiTypes.STR, description="why trading goes on; or in a JSON body")],
        responses={200: HaltStateSerializer},
    )
    def delete(self, request: Request, pk: int) -> Response:
        """Clear one halt: trading goes on where nothing else stops it. A reason is required."""
        found = get_object_or_404(Halt, pk=pk)
        reason = request.query_params.get("reason") or text_body(request, reason="")["reason"]
        cleared = resume(halt=found, reason=reason, actor=request.user.get_username())
        return Response(HaltStateSerializer(cleared).data)


class Flatten(GenericAPIView):
    """Close everything that is held."""

    needs = {"POST": "risk.flatten_halt"}
    queryset = Halt.objects.all()
    serializer_class = HaltStateSerializer
    filter_backends = []

    @extend_schema(request=FlattenBody, responses={202: HaltStateSerializer})
    def post(self, request: Request) -> Response:
        """Halt what increases exposure, cancel what works, and place closing market orders until nothing is held.

        The desk goes on by itself; ask for the halt to see what is not closed yet.
        """
        texts = text_body(request, scope=HaltedScope.FIRM, scope_key="", confirm="", reason="")
        made = flatten(**texts, actor=request.user.get_username())
        return Response(HaltStateSerializer(made).data, status=status.HTTP_202_ACCEPTED)
