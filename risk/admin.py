"""Limits, halts and exposure. Limits and halts change through their stage functions, with a reason."""

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse

from risk.configuration import change_limits
from risk.forms import LimitForm, PortfolioRiskForm, RemoveLimitForm
from risk.limit_page import limits_by_scope
from risk.limits import LimitValue
from risk.models import EquityMark, ExchangeRate, ExposureTotal, Limit
from risk.portfolio.asking import parse_question
from risk.portfolio.assessment import assess
from risk.portfolio.words import PortfolioReport
from tradingdesk.backoffice import shown
from tradingdesk.backoffice.admins import ReadOnlyAdmin
from tradingdesk.backoffice.forms import carry_out

WHERE = ("scope", "scope_key")


@admin.register(Limit)
class LimitAdmin(ReadOnlyAdmin):
    """Limits in force; setting, changing and removing one asks for a reason and is in the trail."""

    list_display = (
        "control",
        *WHERE,
        shown.column("value", show=shown.number),
        "hard",
        "set_by",
        shown.column("set_at", "set (UTC)", show=shown.stamp),
        "reason",
    )
    list_filter = ("control", "scope")
    search_fields = ("scope_key",)
    sortable_by = ()

    def has_add_permission(self, request) -> bool:
        return self.may(request, "add")

    def get_urls(self):
        remove, use = self.admin_site.admin_view(self.remove_view), self.admin_site.admin_view(self.use_view)
        own = [
            path("use/", use, name="risk_limit_use"),
            path("<path:object_id>/remove/", remove, name="risk_limit_remove"),
        ]
        return [*own, *super().get_urls()]

    def use_view(self, request: HttpRequest) -> HttpResponse:
        """How much of each limit is in use now, who set it, when and why, and what it was before."""
        if not self.may(request, "view"):
            raise PermissionDenied
        context = {"groups": limits_by_scope(), "may_set": self.may(request, "add")}
        return self.page(request, "risk/limits.html", title="Limits", **context)

    def add_view(self, request, form_url="", extra_context=None) -> HttpResponse:
        if not self.may(request, "add"):
            raise PermissionDenied
        return self._ask(request, LimitForm(request.POST or None), title="Set a limit")

    def change_view(self, request, object_id, form_url="", extra_context=None) -> HttpResponse:
        limit = self.viewed(request, object_id)
        if limit is None or not self.may(request, "change"):
            return super().change_view(request, object_id, form_url, extra_context)
        form = LimitForm(request.POST or None, of=limit)
        remove = reverse("admin:risk_limit_remove", args=[limit.pk]) if self.may(request, "change") else ""
        return self._ask(request, form, title=f"Change {limit}", remove=remove)

    def remove_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Take one limit away."""
        limit = self.viewed(request, object_id)
        if limit is None:
            return redirect("admin:risk_limit_changelist")
        if not self.may(request, "change"):
            raise PermissionDenied
        return self._ask(request, RemoveLimitForm(request.POST or None, of=limit), title=f"Remove {limit}")

    def _ask(self, request, form, *, title: str, remove: str = "") -> HttpResponse:
        if request.method == "POST" and form.is_valid():
            values = form.limit_values()
            if carry_out(form, lambda: self._set(request, values, form.cleaned_data["reason"])):
                return redirect("admin:risk_limit_changelist")
        back = reverse("admin:risk_limit_changelist")
        context = {
            "form": form,
            "button": title.split()[0],
            "back": back,
            "danger_url": remove,
            "danger": "Remove this limit",
        }
        return self.page(request, "admin/desk/form.html", title=title, **context)

    def _set(self, request: HttpRequest, values: list[LimitValue], reason: str) -> bool:
        record = change_limits(values, actor=request.user.get_username(), reason=reason)
        done = (
            f"done, with {record}. The gate applies it from the next order on."
            if record
            else "it is like that already."
        )
        self.message_user(request, f"{values[0].control}: {done}")
        return True


@admin.register(ExposureTotal)
class ExposureTotalAdmin(ReadOnlyAdmin):
    """What is held and entered, by account, by account and symbol, and by account and sector."""

    list_display = (
        "key",
        "broker_name",
        "symbol",
        "sector",
        shown.column("position_qty", "held", show=shown.number),
        shown.column("open_buy_qty", "open buys", show=shown.number),
        shown.column("open_sell_qty", "open sells", show=shown.number),
        shown.column("open_buy_notional", "buys’ value", show=shown.money),
        shown.column("open_sell_notional", "sells’ value", show=shown.money),
        shown.column("mark_px", "mark", show=shown.number),
        shown.column("gross", show=shown.money),
        shown.column("net_low", "net, all sold", show=shown.money),
        shown.column("net_high", "net, all bought", show=shown.money),
        shown.column("updated_at", "updated (UTC)", show=shown.stamp),
    )
    search_fields = ("symbol", "broker_name", "sector")
    sortable_by = ()

    def get_urls(self):
        risk = self.admin_site.admin_view(self.portfolio_view)
        return [path("portfolio/", risk, name="risk_portfolio"), *super().get_urls()]

    def portfolio_view(self, request: HttpRequest) -> HttpResponse:
        """The risk of what is held over all brokers, and of a trade that is only thought of."""
        if not self.may(request, "view"):
            raise PermissionDenied
        form = PortfolioRiskForm(request.GET or None)
        report = None
        if form.is_valid():
            report = carry_out(form, lambda: _assessed(form.cleaned_data))
        context = {"form": form, "report": report or assess()}
        return self.page(request, "risk/portfolio.html", title="Portfolio risk", **context)


@admin.register(ExchangeRate)
class ExchangeRateAdmin(ReadOnlyAdmin):
    """What currencies cost in the base currency; one that is too old is none to the gate."""

    list_display = (
        "currency",
        "base_currency",
        shown.column("rate", show=shown.number),
        "source",
        shown.column("told_at", "told (UTC)", show=shown.stamp),
    )
    sortable_by = ()


@admin.register(EquityMark)
class EquityMarkAdmin(ReadOnlyAdmin):
    """What a day's loss and a drawdown are measured from, for the firm and each account."""

    list_display = (
        *WHERE,
        shown.column("equity", show=shown.money),
        "day",
        shown.column("day_start_equity", "at the day’s start", show=shown.money),
        shown.column("peak_equity", "at its peak", show=shown.money),
        shown.column("peak_at", "peak (UTC)", show=shown.stamp),
        shown.column("seen_at", "seen (UTC)", show=shown.stamp),
    )
    sortable_by = ()


def _assessed(asked: dict[str, str]) -> PortfolioReport:
    tail, trade = parse_question({name: value for name, value in asked.items() if value})
    return assess(tail=tail, trade=trade)
