"""The accounts and how their connections do, to read."""

from rest_framework import serializers
from rest_framework.generics import ListAPIView

from brokers.models import AccountHealth, BrokerAccount
from tradingdesk.reading import DeskSerializer


class HealthSerializer(DeskSerializer):
    connected = serializers.BooleanField(source="is_connected", read_only=True, allow_null=True)
    error_rate = serializers.DecimalField(max_digits=9, decimal_places=6, read_only=True, allow_null=True)

    class Meta:
        model = AccountHealth
        fields = [
            "healthy",
            "connected",
            "consecutive_failures",
            "error_rate",
            "last_ok_at",
            "last_message_at",
            "last_error_at",
            "last_error",
            "latency_ms",
            "latency_p50_ms",
            "latency_p95_ms",
            "latency_p99_ms",
            "budget_limit",
            "budget_remaining",
            "budget_resets_at",
        ]


class BrokerSerializer(DeskSerializer):
    health = HealthSerializer(read_only=True, allow_null=True)

    class Meta:
        model = BrokerAccount
        fields = [
            "broker_name",
            "adapter",
            "enabled",
            "allocation_percent",
            "paper_trading",
            "account_id",
            "currency",
            "portfolio_value",
            "equity",
            "cash",
            "buying_power",
            "shorting_enabled",
            "status",
            "last_updated",
            "health",
        ]


class BrokerList(ListAPIView):
    """Every configured account: the broker's own figures, and its connection's health (null: never called)."""

    needs = {"GET": "brokers.view_brokeraccount"}
    queryset = BrokerAccount.objects.select_related("health")
    serializer_class = BrokerSerializer
    seek = ("broker_name",)
