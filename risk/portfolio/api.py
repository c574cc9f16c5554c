"""The portfolio's risk, to read."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from risk.portfolio.asking import parse_question
from risk.portfolio.assessment import assess
from risk.portfolio.concentration import Concentration
from tradingdesk.fields import MONEY_PLACES, fit
from tradingdesk.fix import Side
from tradingdesk.reading import PlainDecimal


class ProblemSerializer(serializers.Serializer):
    """What was left out, or taken from elsewhere, and why."""

    code = serializers.CharField()
    detail = serializers.CharField()
    symbol = serializers.CharField()
    broker_name = serializers.CharField()


class TailLossSerializer(serializers.Serializer):
    """What one day may cost."""

    tail = PlainDecimal(help_text="share of the worst days: 0.05 is what others call 95 %")
    historical_var = PlainDecimal()
    historical_es = PlainDecimal()
    normal_var = PlainDecimal()
    normal_es = PlainDecimal()
    ewma_var = PlainDecimal()
    ewma_es = PlainDecimal()


class ComponentSerializer(serializers.Serializer):
    """What a symbol or an account adds to the normal VaR."""

    name = serializers.CharField()
    value = PlainDecimal()
    var = PlainDecimal(help_text="below zero: it hedges")
    share = PlainDecimal(allow_null=True)


class PairSerializer(serializers.Serializer):
    """How two symbols, or what two accounts hold, have moved together."""

    first = serializers.CharField()
    second = serializers.CharField()
    correlation = PlainDecimal(allow_null=True)
    same_broker = serializers.BooleanField(allow_null=True)


class HistorySerializer(serializers.Serializer):
    """The days that the figures come from."""

    days = serializers.IntegerField()
    first = serializers.DateField()
    last = serializers.DateField()
    coverage = PlainDecimal(help_text="measured share of the gross value")
    covariance = serializers.CharField(help_text="sample, or ledoit_wolf where days are few")
    shrinkage = PlainDecimal()
    sources = serializers.DictField(child=serializers.CharField(), help_text="whose bars were used, by symbol")


class CorrelationsSerializer(serializers.Serializer):
    """How far the portfolio's parts are apart."""

    average = PlainDecimal(allow_null=True)
    diversification_ratio = PlainDecimal(allow_null=True, help_text="1: all moves as one")
    independent_bets = PlainDecimal(allow_null=True, help_text="square of the ratio")
    principal_bets = PlainDecimal(allow_null=True, help_text="principal components that drive the variance")
    symbols = PairSerializer(many=True, help_text="the strongest pairs")
    accounts = PairSerializer(many=True)


class TradeSerializer(serializers.Serializer):
    """A trade that is only thought of."""

    symbol = serializers.CharField()
    side = serializers.ChoiceField(choices=Side.choices)
    order_qty = PlainDecimal()


class TradeRiskSerializer(serializers.Serializer):
    """What the trade would change."""

    trade = TradeSerializer()
    value = PlainDecimal()
    before = TailLossSerializer()
    after = TailLossSerializer()
    incremental = TailLossSerializer()


class MeasuredSerializer(serializers.Serializer):
    """What follows from the history of prices, for one day ahead."""

    tail = PlainDecimal(help_text="of components, accounts and trade")
    history = HistorySerializer()
    losses = TailLossSerializer(many=True)
    components = ComponentSerializer(many=True)
    accounts = ComponentSerializer(many=True)
    correlations = CorrelationsSerializer()
    trade = TradeRiskSerializer(allow_null=True)


class ShareSerializer(serializers.Serializer):
    """One place's share of the gross value."""

    name = serializers.CharField()
    share = PlainDecimal()


class ConcentrationSerializer(serializers.Serializer):
    """How much lies in one place."""

    by = serializers.CharField(help_text="symbol, sector, currency, broker, account")
    herfindahl = PlainDecimal(allow_null=True)
    effective_number = PlainDecimal(allow_null=True)
    shares = ShareSerializer(many=True)


class FailureSerializer(serializers.Serializer):
    """What is lost if a broker fails and nothing is recovered beyond what is protected."""

    broker = serializers.CharField()
    broker_names = serializers.ListField(child=serializers.CharField())
    equity = PlainDecimal(source="loss.equity")
    cash = PlainDecimal(source="loss.cash")
    positions = PlainDecimal(source="loss.positions")
    protected = PlainDecimal(source="loss.protected")
    lost_cash = PlainDecimal(source="loss.lost_cash")
    lost_positions = PlainDecimal(source="loss.lost_positions")
    lost = PlainDecimal(source="loss.lost")
    share = PlainDecimal(allow_null=True, help_text="of the portfolio's value")


class PortfolioRiskSerializer(serializers.Serializer):
    """The risk of what is held over all brokers, in the base currency."""

    as_of = serializers.DateTimeField()
    base_currency = serializers.CharField()
    total_value = PlainDecimal()
    gross = PlainDecimal()
    net = PlainDecimal()
    long = PlainDecimal()
    short = PlainDecimal()
    complete = serializers.BooleanField(help_text="nothing was left out")
    problems = ProblemSerializer(many=True)
    measured = MeasuredSerializer(allow_null=True, help_text="null: too little to measure; problems say why")
    concentrations = serializers.SerializerMethodField()
    failures = FailureSerializer(many=True)

    @extend_schema_field(ConcentrationSerializer(many=True))
    def get_concentrations(self, report) -> list[dict[str, Any]]:
        """Each concentration by its name."""
        rows = [_concentration(by, found) for by, found in report.concentrations.items()]
        return ConcentrationSerializer(rows, many=True).data


class PortfolioRiskView(APIView):
    """VaR, expected shortfall, contributions, correlation, concentration, and what a broker's failure would cost."""

    needs = {"GET": "risk.view_exposuretotal"}

    @extend_schema(
        parameters=[
            OpenApiParameter("tail", OpenApiTypes.DECIMAL, description="share of the worst days; 0.05 if left out"),
            OpenApiParameter("symbol", OpenApiTypes.STR, description="of a trade that is only thought of"),
            OpenApiParameter("side", OpenApiTypes.STR, enum=Side.values),
            OpenApiParameter("order_qty", OpenApiTypes.DECIMAL),
        ],
        responses=PortfolioRiskSerializer,
    )
    def get(self, request: Request) -> Response:
        """Report the risk of what is held, and of a trade if one is named."""
        tail, trade = parse_question(request.query_params.dict())
        return Response(PortfolioRiskSerializer(assess(tail=tail, trade=trade)).data)


def _concentration(by: str, found: Concentration) -> dict[str, Any]:
    shares = [{"name": name, "share": fit(share, MONEY_PLACES)} for name, share in found.shares.items()]
    return {
        "by": by,
        "herfindahl": found.herfindahl and fit(found.herfindahl, MONEY_PLACES),
        "effective_number": found.effective_number and fit(found.effective_number, MONEY_PLACES),
        "shares": shares,
    }
