"""What traded and what is held, to read."""

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from rest_framework import serializers
from rest_framework.generics import ListAPIView

from orders.holdings import consolidated_positions
from orders.models import Execution, Position, TradeLog
from tradingdesk.reading import DeskSerializer, OnePage, PlainDecimal

OPEN, CLOSED, ALL = "open", "closed", "all"


class StateFilter(filters.ChoiceFilter):
    """Choose rows still open, closed or all; what is asked for by leaving it out is `default`."""

    def __init__(self, default: str, **kwargs):
        self.default = default
        choices = [(OPEN, "still open"), (CLOSED, "closed"), (ALL, "all")]
        super().__init__(choices=choices, help_text=f"default: {default}", **kwargs)

    def filter(self, queryset: QuerySet, value: str | None) -> QuerySet:
        state = value or self.default
        return queryset if state == ALL else queryset.filter(closed_at__isnull=state == OPEN)


class ExecutionSerializer(DeskSerializer):
    broker_name = serializers.CharField(source="account_id")
    client_order_id = serializers.CharField(source="order.client_order_id")

    class Meta:
        model = Execution
        fields = [
            "exec_id",
            "exec_ref_id",
            "exec_type",
            "client_order_id",
            "broker_name",
            "broker_order_id",
            "symbol",
            "side",
            "last_qty",
            "last_px",
            "cum_qty",
            "commission",
            "transact_time",
            "received_at",
            "text",
        ]


class ExecutionFilter(filters.FilterSet):
    broker_name = filters.CharFilter(field_name="account_id")
    client_order_id = filters.CharFilter(field_name="order__client_order_id")
    transact_after = filters.IsoDateTimeFilter(field_name="transact_time", lookup_expr="gt")
    transact_before = filters.IsoDateTimeFilter(field_name="transact_time", lookup_expr="lt")

    class Meta:
        model = Execution
        fields = ["symbol", "side", "exec_type"]


class ExecutionList(ListAPIView):
    """Trades, busts and corrections, the latest first."""

    needs = {"GET": "orders.view_execution"}
    queryset = Execution.objects.select_related("order").defer("raw")
    serializer_class = ExecutionSerializer
    filterset_class = ExecutionFilter
    seek = ("-transact_time", "-id")


class PositionSerializer(DeskSerializer):
    broker_name = serializers.CharField(source="account_id")

    class Meta:
        model = Position
        fields = [
            "broker_name",
            "symbol",
            "qty",
            "avg_px",
            "realized_pnl",
            "commission",
            "opened_at",
            "closed_at",
            "last_trade_at",
        ]


class PositionFilter(filters.FilterSet):
    broker_name = filters.CharFilter(field_name="account_id")
    state = StateFilter(default=OPEN)

    class Meta:
        model = Position
        fields = ["symbol"]


class PositionList(ListAPIView):
    """What each account holds of each instrument; with `state=closed` or `all`, what it held."""

    needs = {"GET": "orders.view_position"}
    queryset = Position.objects.all()
    serializer_class = PositionSerializer
    filterset_class = PositionFilter
    seek = ("-opened_at", "-id")


class ConsolidatedSerializer(serializers.Serializer):
    """One symbol over all accounts; `avg_px` is null when the accounts' parts cancel out."""

    symbol = serializers.CharField()
    qty = PlainDecimal()
    avg_px = PlainDecimal(allow_null=True)
    brokers = serializers.DictField(child=PlainDecimal(), help_text="each account's part")


class ConsolidatedPositions(ListAPIView):
    """What the desk holds of each symbol, all accounts together."""

    needs = {"GET": "orders.view_position"}
    serializer_class = ConsolidatedSerializer
    filter_backends = []
    pagination_class = OnePage

    def get_queryset(self) -> list[dict]:
        return consolidated_positions()


class TradeLogSerializer(DeskSerializer):
    broker_name = serializers.CharField(source="account_id")
    client_order_id = serializers.CharField(
        source="order.client_order_id", allow_null=True, default=None, help_text="of the order that opened it"
    )

    class Meta:
        model = TradeLog
        fields = [
            "broker_name",
            "client_order_id",
            "symbol",
            "strategy",
            "direction",
            "entry_qty",
            "entry_px",
            "exit_qty",
            "exit_px",
            "gross_pnl",
            "commission",
            "net_pnl",
            "opened_at",
            "closed_at",
        ]


class TradeLogFilter(filters.FilterSet):
    broker_name = filters.CharFilter(field_name="account_id")
    state = StateFilter(default=ALL)
    opened_after = filters.IsoDateTimeFilter(field_name="opened_at", lookup_expr="gt")
    opened_before = filters.IsoDateTimeFilter(field_name="opened_at", lookup_expr="lt")

    class Meta:
        model = TradeLog
        fields = ["symbol", "strategy", "direction"]


class TradeLogList(ListAPIView):
    """Round trips, the latest first."""

    needs = {"GET": "orders.view_tradelog"}
    queryset = TradeLog.objects.select_related("order")
    serializer_class = TradeLogSerializer
    filterset_class = TradeLogFilter
    seek = ("-opened_at", "-id")
