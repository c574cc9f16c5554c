"""The portfolio over all accounts, to read."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from analytics.portfolio import portfolio
from tradingdesk.reading import PlainDecimal


class AccountShareSerializer(serializers.Serializer):
    """One account's part of the portfolio."""

    broker_name = serializers.CharField()
    enabled = serializers.BooleanField()
    portfolio_value = PlainDecimal()
    cash = PlainDecimal()
    buying_power = PlainDecimal()
    gross_exposure = PlainDecimal(help_text="what is held and entered")
    share = PlainDecimal(allow_null=True, help_text="of the total value; null when the account does not count")
    target_share = PlainDecimal(help_text="allocation_percent of the configuration")
    as_of = serializers.DateTimeField(allow_null=True, help_text="when the broker gave its figures")


class PortfolioSerializer(serializers.Serializer):
    """What all accounts are worth together, in the base currency."""

    base_currency = serializers.CharField()
    without_rate = serializers.ListField(
        child=serializers.CharField(), help_text="currencies of accounts that no exchange rate is known for"
    )
    total_value = PlainDecimal(help_text="0, which is not known, while a rate is missing")
    cash = PlainDecimal(help_text="0, which is not known, while a rate is missing")
    gross_exposure = PlainDecimal()
    open_positions = serializers.IntegerField()
    open_orders = serializers.IntegerField()
    accounts = AccountShareSerializer(many=True)


class PortfolioView(APIView):
    """What all accounts are worth together, and each one's part."""

    needs = {"GET": "brokers.view_brokeraccount"}

    @extend_schema(responses=PortfolioSerializer)
    def get(self, request: Request) -> Response:
        """Add up every account."""
        return Response(PortfolioSerializer(portfolio()).data)
