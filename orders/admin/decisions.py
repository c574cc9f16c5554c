"""Why orders were allowed or denied, and why they went where they went: facts."""

from django.contrib import admin
from django.db.models import Q
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from orders.admin.shared import order_keys, order_link
from orders.models import RiskDecision, RoutingDecision
from tradingdesk.backoffice import shown
from tradingdesk.backoffice.admins import AppendOnlyAdmin

DECIDED = shown.column("decided_at", "decided (UTC)", show=shown.stamp)
ANSWER_LABELS = {"allowed": "success", "denied": "danger"}


class DecisionAdmin(AppendOnlyAdmin):
    """What both kinds of decision share."""

    list_select_related = ("order",)
    search_fields = ("order__client_order_id", "order__symbol")
    search_help_text = "Order"
    sortable_by = ()

    def search_by(self, term: str) -> Q:
        return Q(order__in=order_keys(term))

    @admin.display(description="symbol")
    def symbol(self, decision) -> str:
        return decision.order.symbol


@admin.register(RiskDecision)
class RiskDecisionAdmin(DecisionAdmin):
    """The gate's answers."""

    list_display = (DECIDED, "answer", "about", order_link, "symbol", "denied_for")
    list_filter = ("allowed", ("about", ChoicesDropdownFilter))

    @display(description="answer", label=ANSWER_LABELS)
    def answer(self, decision: RiskDecision) -> str:
        return "allowed" if decision.allowed else "denied"

    @admin.display(description="denied for")
    def denied_for(self, decision: RiskDecision) -> str:
        return ", ".join(dict.fromkeys(denial["code"] for denial in decision.denials))


@admin.register(RoutingDecision)
class RoutingDecisionAdmin(DecisionAdmin):
    """The router's choices, with every candidate."""

    list_display = (DECIDED, "chosen", order_link, "symbol", "reason")
