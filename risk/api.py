"""Exposure and limits to read. Halts are read and set at `orders.api.halts`, as they cancel."""

from django_filters import rest_framework as filters
from rest_framework import serializers
from rest_framework.generics import ListAPIView

from risk.models import ExposureTotal, Limit
from risk.use import use_of_limits
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
        fields = ["control", "scope", "scope_key", "hard"]


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
