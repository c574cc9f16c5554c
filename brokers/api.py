"""The accounts and how their connections do, to read."""

from rest_framework.generics import ListAPIView

from brokers.models import AccountHealth, BrokerAccount
from tradingdesk.reading import DeskSerializer


class HealthSerializer(DeskSerializer):
    class Meta:
        model = AccountHealth
        fields = ["healthy", "consecutive_failures", "last_ok_at", "last_error_at", "last_error", "latency_ms"]


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
