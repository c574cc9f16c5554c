"""Rebalancing: what would be proposed now, plans, and the decisions about them."""

from django.shortcuts import get_object_or_404
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import GenericAPIView, ListAPIView, RetrieveAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from orders.models import RebalanceLeg, RebalancePlan
from orders.rebalancing import plans
from tradingdesk.fix import Side
from tradingdesk.http import text_body
from tradingdesk.reading import DeskSerializer, PlainDecimal


class RebalanceProblemSerializer(serializers.Serializer):
    code = serializers.CharField()
    detail = serializers.CharField()
    broker_name = serializers.CharField()
    symbol = serializers.CharField()


class RebalanceShareSerializer(serializers.Serializer):
    """An account's gross exposure, and its share of the portfolio's value, before and after."""

    broker_name = serializers.CharField()
    gross_before = serializers.CharField()
    gross_after = serializers.CharField()
    share_before = serializers.CharField()
    share_after = serializers.CharField()
    limit = serializers.CharField(allow_null=True)


class DraftLegSerializer(serializers.Serializer):
    number = serializers.IntegerField()
    move = serializers.IntegerField(help_text="the `close` and the `open` leg of a move have the same number")
    role = serializers.ChoiceField(choices=RebalanceLeg.Role.choices)
    broker_name = serializers.CharField()
    symbol = serializers.CharField()
    side = serializers.ChoiceField(choices=Side.choices)
    order_qty = PlainDecimal()
    px = PlainDecimal(help_text="far touch when it was planned")
    fees = PlainDecimal()
    half_spread = PlainDecimal()
    cost = PlainDecimal()
    share_before = PlainDecimal(help_text="of the account, as one order after the other takes effect")
    share_after = PlainDecimal()


class DraftSerializer(serializers.Serializer):
    """A plan that is not stored."""

    total_value = PlainDecimal()
    turnover = PlainDecimal()
    cost = PlainDecimal()
    accounts = RebalanceShareSerializer(many=True)
    problems = RebalanceProblemSerializer(many=True)
    legs = DraftLegSerializer(many=True)


class RebalanceLegSerializer(DeskSerializer):
    broker_name = serializers.CharField(source="account_id")
    cost = PlainDecimal()

    class Meta:
        model = RebalanceLeg
        fields = [
            *("number", "move", "role", "broker_name", "symbol", "side", "order_qty", "px", "fees", "half_spread"),
            *("cost", "share_before", "share_after", "state", "cum_qty", "client_order_id", "attempt", "text"),
        ]


class RebalancePlanSerializer(DeskSerializer):
    accounts = RebalanceShareSerializer(many=True)
    problems = RebalanceProblemSerializer(many=True)
    legs = RebalanceLegSerializer(many=True)

    class Meta:
        model = RebalancePlan
        fields = [
            *("id", "cause", "state", "reason", "proposed_by", "proposed_at", "expires_at", "decided_by", "decided_at"),
            *("decision_reason", "ended_at", "text", "total_value", "turnover", "cost", "accounts", "problems", "legs"),
        ]


class RebalancePlanFilter(filters.FilterSet):
    class Meta:
        model = RebalancePlan
        fields = ["state", "cause"]


class ReasonBody(serializers.Serializer):
    reason = serializers.CharField()


class RebalancePreview(APIView):
    """What would bring the book back now."""

    needs = {"GET": "orders.view_rebalanceplan"}
    filter_backends = []

    @extend_schema(responses={200: DraftSerializer})
    def get(self, request: Request) -> Response:
        """The orders with their costs, and what cannot be done; nothing is stored."""
        return Response(DraftSerializer(plans.preview()).data)


class RebalancePlanList(ListAPIView):
    """Plans, the latest first."""

    needs = {"GET": "orders.view_rebalanceplan", "POST": "orders.add_rebalanceplan"}
    queryset = RebalancePlan.objects.prefetch_related("legs")
    serializer_class = RebalancePlanSerializer
    filterset_class = RebalancePlanFilter
    seek = ("-id",)

    @extend_schema(request=ReasonBody, responses={201: RebalancePlanSerializer})
    def post(self, request: Request) -> Response:
        """Propose a plan for the book as it is; somebody else approves it. A reason is required."""
        plan = plans.propose(actor=request.user.get_username(), **text_body(request, reason=""))
        return Response(RebalancePlanSerializer(plan).data, status=201)


class RebalancePlanDetail(RetrieveAPIView):
    """One plan with its orders."""

    needs = {"GET": "orders.view_rebalanceplan"}
    queryset = RebalancePlan.objects.prefetch_related("legs")
    serializer_class = RebalancePlanSerializer
    filter_backends = []


class _Decision(GenericAPIView):
    needs = {"POST": "orders.approve_rebalanceplan"}
    queryset = RebalancePlan.objects.all()
    serializer_class = RebalancePlanSerializer
    filter_backends = []

    def decide(self, request: Request, pk: int, stage) -> Response:
        plan = get_object_or_404(self.get_queryset(), pk=pk)
        decided = stage(plan=plan, actor=request.user.get_username(), **text_body(request, reason=""))
        return Response(RebalancePlanSerializer(decided).data)


class RebalancePlanApproval(_Decision):
    """One plan, to approve."""

    @extend_schema(request=ReasonBody, responses={200: RebalancePlanSerializer})
    def post(self, request: Request, pk: int) -> Response:
        """Have a plan's orders placed. Whoever proposed it cannot approve it. A reason is required."""
        return self.decide(request, pk, plans.approve)


class RebalancePlanRejection(_Decision):
    """One plan, to reject."""

    @extend_schema(request=ReasonBody, responses={200: RebalancePlanSerializer})
    def post(self, request: Request, pk: int) -> Response:
        """End a proposed plan without orders. A reason is required."""
        return self.decide(request, pk, plans.reject)


class RebalancePlanStop(_Decision):
    """One plan whose orders are placed, to stop."""

    @extend_schema(request=ReasonBody, responses={200: RebalancePlanSerializer})
    def post(self, request: Request, pk: int) -> Response:
        """Place no further order of a plan and cancel those that work. A reason is required."""
        return self.decide(request, pk, plans.stop)
