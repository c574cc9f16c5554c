"""Exposure and limits to read; halts to read, set and clear."""

from django.shortcuts import get_object_or_404
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.generics import GenericAPIView, ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from risk.halts import HALTED_SCOPES, halt, resume
from risk.models import ExposureTotal, Halt, Limit, Scope
from risk.use import use_of_limits
from tradingdesk.errors import InvalidInput
from tradingdesk.http import json_object
from tradingdesk.reading import DeskSerializer, PlainDecimal


class ExposureSerializer(DeskSerializer):
    class Meta:
        model = ExposureTotal
        fields = [
            "key",
            "broker_name",
            "symbol",
            "position_qty",
            "open_buy_qty",
            "open_sell_qty",
            "open_buy_notional",
            "open_sell_notional",
            "mark_px",
            "gross",
            "updated_at",
        ]


class ExposureFilter(filters.FilterSet):
    class Meta:
        model = ExposureTotal
        fields = ["broker_name", "symbol"]


class ExposureList(ListAPIView):
    """What is held and entered: a total for each account ("1:…"), then one for each account and symbol ("2:…")."""

    needs = {"GET": "risk.view_exposuretotal"}
    queryset = ExposureTotal.objects.accounts() | ExposureTotal.objects.symbols()
    serializer_class = ExposureSerializer
    filterset_class = ExposureFilter
    seek = ("key",)


class LimitSerializer(DeskSerializer):
    in_use = PlainDecimal(
        source="use.found.value",
        allow_null=True,
        default=None,
        help_text="what the limit is compared with now, in its own unit; null where it is judged with each order only",
    )
    in_use_at = serializers.CharField(
        source="use.found.where", allow_null=True, default=None, help_text="the account that is nearest to the limit"
    )

    class Meta:
        model = Limit
        fields = ["control", "scope", "scope_key", "value", "hard", "in_use", "in_use_at", "reason", "set_by", "set_at"]


class LimitFilter(filters.FilterSet):
    class Meta:
        model = Limit
        fields = ["control", "scope", "scope_key"]


class LimitList(ListAPIView):
    """Every limit in force, and how much of it is in use."""

    needs = {"GET": "risk.view_limit"}
    queryset = Limit.objects.all()
    serializer_class = LimitSerializer
    filterset_class = LimitFilter
    seek = ("id",)

    def paginate_queryset(self, queryset) -> list[Limit]:
        limits = super().paginate_queryset(queryset)
        for use in use_of_limits(limits):
            use.limit.use = use
        return limits


class HaltSerializer(DeskSerializer):
    in_force = serializers.SerializerMethodField()

    class Meta:
        model = Halt
        fields = [
            "id",
            "scope",
            "scope_key",
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


class HaltBody(serializers.Serializer):
    """A halt as asked for; `scope_key` is the account's name or the symbol, empty for the firm."""

    scope = serializers.ChoiceField(choices=[scope.value for scope in HALTED_SCOPES], default=Scope.FIRM)
    scope_key = serializers.CharField(default="", allow_blank=True)
    reason = serializers.CharField()


class HaltFilter(filters.FilterSet):
    in_force = filters.BooleanFilter(field_name="cleared_at", lookup_expr="isnull")

    class Meta:
        model = Halt
        fields = ["scope", "scope_key"]


class HaltList(ListAPIView):
    """Stops of trading, the latest first."""

    needs = {"GET": "risk.view_halt", "POST": "risk.add_halt"}
    queryset = Halt.objects.all()
    serializer_class = HaltSerializer
    filterset_class = HaltFilter
    seek = ("-set_at", "-id")

    @extend_schema(request=HaltBody, responses={201: HaltSerializer})
    def post(self, request: Request) -> Response:
        """Stop new orders of the firm, an account or a symbol; the halt in force when there is one already."""
        texts = _texts(request, scope=Scope.FIRM, scope_key="", reason="")
        made = halt(**texts, actor=request.user.get_username())
        return Response(HaltSerializer(made).data, status=status.HTTP_201_CREATED)


class HaltDetail(GenericAPIView):
    """One halt, to clear."""

    needs = {"DELETE": "risk.clear_halt"}
    queryset = Halt.objects.all()
    serializer_class = HaltSerializer
    filter_backends = []

    @extend_schema(
        parameters=[OpenApiParameter("reason", OpenApiTypes.STR, description="why trading goes on; or in a JSON body")],
        responses={200: HaltSerializer},
    )
    def delete(self, request: Request, pk: int) -> Response:
        """Clear one halt: trading goes on where nothing else stops it. A reason is required."""
        found = get_object_or_404(Halt, pk=pk)
        reason = request.query_params.get("reason") or _texts(request, reason="")["reason"]
        cleared = resume(halt=found, reason=reason, actor=request.user.get_username())
        return Response(HaltSerializer(cleared).data)


def _texts(request: Request, **defaults: str) -> dict[str, str]:
    """Read a body of nothing but texts."""
    body = json_object(request)
    for name, value in body.items():
        if name not in defaults:
            raise InvalidInput("UNKNOWN_FIELD", f"{name}: expected {', '.join(defaults)}", name)
        if not isinstance(value, str):
            raise InvalidInput("INVALID_TYPE", f"{name}: expected text, found {type(value).__name__}", name)
    return {**defaults, **body}
