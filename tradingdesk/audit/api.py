"""The trail and the configuration's history, to read."""

from django_filters import rest_framework as filters
from rest_framework.generics import ListAPIView

from tradingdesk.audit.models import AuditEvent
from tradingdesk.config.models import ConfigurationRecord
from tradingdesk.reading import DeskSerializer


class AuditEventSerializer(DeskSerializer):
    class Meta:
        model = AuditEvent
        fields = [
            "id",
            "happened_at",
            "recorded_at",
            "actor",
            "kind",
            "entity",
            "entity_key",
            "broker_name",
            "client_order_id",
            "symbol",
            "before",
            "after",
            "request_id",
            "reason",
        ]


class AuditEventFilter(filters.FilterSet):
    happened_after = filters.IsoDateTimeFilter(field_name="happened_at", lookup_expr="gt")
    happened_before = filters.IsoDateTimeFilter(field_name="happened_at", lookup_expr="lt")

    class Meta:
        model = AuditEvent
        fields = ["broker_name", "actor", "kind", "symbol", "client_order_id", "request_id", "entity", "entity_key"]


class AuditEventList(ListAPIView):
    """Everything that happened, the latest first."""

    needs = {"GET": "tradingdesk.view_auditevent"}
    queryset = AuditEvent.objects.all()
    serializer_class = AuditEventSerializer
    filterset_class = AuditEventFilter
    seek = ("-id",)


class ConfigurationSerializer(DeskSerializer):
    class Meta:
        model = ConfigurationRecord
        fields = ["version", "changed_at", "changed_by", "source", "reason", "diff", "whole", "text"]


class ConfigurationHistory(ListAPIView):
    """Every configuration the desk has run with, the latest first; secrets are in it as references.

    `text` is the whole as a file that `load_config` takes; empty in changes that a legacy database told of.
    """

    needs = {"GET": "tradingdesk.view_configurationrecord"}
    queryset = ConfigurationRecord.objects.all()
    serializer_class = ConfigurationSerializer
    seek = ("-version",)
