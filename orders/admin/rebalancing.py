"""Rebalancing plans: what would bring the book back, what it costs, and the decision of somebody else."""

from __future__ import annotations

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from orders.admin.shared import SIDE_LABELS, order_link
from orders.models import RebalanceLeg, RebalancePlan
from orders.rebalancing import plans
from orders.rebalancing.placing import orders_by_leg
from tradingdesk.backoffice import shown
from tradingdesk.backoffice.admins import ReadOnlyAdmin
from tradingdesk.backoffice.forms import REFUSALS, ReasonForm, add_refusal, carry_out
from tradingdesk.backoffice.lists import DayRangeFilter
from tradingdesk.errors import DeskError

CHANGELIST, PAGE = "admin:orders_rebalanceplan_changelist", "admin:orders_rebalanceplan_change"
PLAN_TEMPLATE = "admin/orders/rebalanceplan/plan.html"
PROPOSE_TEMPLATE = "admin/orders/rebalanceplan/propose.html"
MAY_DECIDE = "approve"
STATE_LABELS = {
    "proposed": "info",
    "placing": "primary",
    "stopping": "warning",
    "done": "success",
    "incomplete": "danger",
    "stopped": "warning",
    "rejected": "default",
    "expired": "default",
}
LEG_LABELS = {
    "waiting": "default",
    "sending": "info",
    "working": "primary",
    "done": "success",
    "short": "danger",
    "left_out": "warning",
}
DECISIONS = {"approve": plans.approve, "reject": plans.reject, "stop": plans.stop}
DONE = {
    "approve": "is approved; its orders are being placed.",
    "reject": "is rejected.",
    "stop": "places no further order.",
}


@admin.register(RebalancePlan)
class RebalancePlanAdmin(ReadOnlyAdmin):
    """Plans, the latest first; "add" previews what would be proposed now."""

    list_display = (
        shown.column("proposed_at", "proposed (UTC)", show=shown.stamp),
        "state_label",
        "cause",
        "reason",
        "proposed_by",
        shown.column("turnover", show=shown.money),
        shown.column("cost", show=shown.money),
        "decided_by",
        shown.column("ended_at", "ended (UTC)", show=shown.stamp),
        "text",
    )
    list_display_links = (list_display[0], "cause")
    list_filter = (("state", ChoicesDropdownFilter), ("proposed_at", DayRangeFilter))
    sortable_by = ()

    @display(description="state", label=STATE_LABELS)
    def state_label(self, plan: RebalancePlan) -> str:
        return plan.state

    def has_add_permission(self, request) -> bool:
        return self.may(request, "add")

    def get_urls(self):
        decide = self.admin_site.admin_view(self.decide_view)
        own = [
            path(f"<path:object_id>/{word}/", decide, {"word": word}, name=f"orders_rebalanceplan_{word}")
            for word in DECISIONS
        ]
        return [*own, *super().get_urls()]

    def add_view(self, request, form_url="", extra_context=None) -> HttpResponse:
        """Show what a plan would do now; a reason stores it."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = ReasonForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            reason = form.cleaned_data["reason"]
            plan = carry_out(form, lambda: plans.propose(actor=request.user.get_username(), reason=reason))
            if plan is not None:
                self.message_user(request, f"{plan} is proposed; somebody else approves it.", messages.SUCCESS)
                return redirect(PAGE, plan.pk)
        return self._propose_page(request, form)

    def change_view(self, request, object_id, form_url="", extra_context=None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        plan = self.viewed(request, object_id)
        return self._missing(request, object_id) if plan is None else self._page(request, plan)

    def decide_view(self, request: HttpRequest, object_id: str, word: str) -> HttpResponse:
        """Approve, reject or stop a plan (POST)."""
        if request.method != "POST" or not (self.may(request, "view") and self.may(request, MAY_DECIDE)):
            raise PermissionDenied
        plan = self.viewed(request, object_id)
        if plan is None:
            return self._missing(request, object_id)
        form = ReasonForm(request.POST)
        if form.is_valid():
            try:
                plan = DECISIONS[word](plan=plan, actor=request.user.get_username(), **form.cleaned_data)
                self.message_user(request, f"{plan} {DONE[word]}", messages.SUCCESS)
                return redirect(PAGE, plan.pk)
            except REFUSALS as refusal:
                add_refusal(form, refusal)
        return self._page(request, plan, form=form)

    def _propose_page(self, request: HttpRequest, form: ReasonForm) -> HttpResponse:
        try:
            made, refused = plans.preview(), ""
        except DeskError as error:
            made, refused = None, str(error)
        context = {"form": form, "plan": made, "refused": refused, "back": reverse(CHANGELIST)}
        return self.page(request, PROPOSE_TEMPLATE, title="Propose to rebalance", **context)

    def _page(self, request: HttpRequest, plan: RebalancePlan, form: ReasonForm | None = None) -> HttpResponse:
        legs = list(plan.legs.select_related("account"))
        orders = orders_by_leg(legs)
        own = plan.proposed_by == request.user.get_username()
        may_decide = self.may(request, MAY_DECIDE)
        context = {
            "plan": plan,
            "legs": [(leg, LEG_LABELS[leg.state], SIDE_LABELS[leg.side], orders[leg.number]) for leg in legs],
            "state_label": STATE_LABELS[plan.state],
            "form": form or ReasonForm(),
            "own": own,
            "may_approve": may_decide and plan.is_proposed and not own and bool(legs),
            "may_reject": may_decide and plan.is_proposed,
            "may_stop": may_decide and plan.state == plan.State.PLACING,
        }
        return self.page(request, PLAN_TEMPLATE, title=str(plan), **context)

    def _missing(self, request: HttpRequest, object_id: str) -> HttpResponse:
        self.message_user(request, f"There is no plan {object_id}.", messages.WARNING)
        return redirect(CHANGELIST)


@admin.register(RebalanceLeg)
class RebalanceLegAdmin(ReadOnlyAdmin):
    """The orders of all plans, the latest plan first."""

    list_display = (
        "plan",
        "number",
        "role",
        "account",
        "side",
        shown.column("order_qty", "quantity", show=shown.number),
        "symbol",
        "state",
        shown.column("cum_qty", "filled", show=shown.number),
        order_link,
        "text",
    )
    list_filter = (("state", ChoicesDropdownFilter),)
    list_select_related = ("plan", "account", "order")
    ordering = ("-plan_id", "number")
    sortable_by = ()
