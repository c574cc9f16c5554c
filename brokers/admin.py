"""Accounts, their health, what they list and at which prices. All of it is written by the desk itself."""

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from unfold.decorators import action, display

from brokers.configuration import change_accounts, configured_accounts
from brokers.forms import SectorForm, SharesForm
from brokers.models import (
    AccountHealth,
    AccountLease,
    AccountSnapshot,
    BrokerAccount,
    DailyBar,
    Instrument,
    Listing,
    Quote,
)
from brokers.sectors import set_sector
from tradingdesk.backoffice import shown
from tradingdesk.backoffice.admins import ReadOnlyAdmin
from tradingdesk.backoffice.forms import carry_out

STATUS_LABELS = {"active": "success", "blocked": "danger", "unknown": "warning"}


def _share_or_nothing(value) -> str:
    return shown.EMPTY if value is None else shown.share(value)


@admin.register(BrokerAccount)
class BrokerAccountAdmin(ReadOnlyAdmin):
    """Accounts and their figures, as the broker last gave them."""

    note = (
        "Accounts are configured in config/desk.yaml, then load_config. "
        "“Shares and switches”, above the list, enables, disables and sets shares."
    )
    actions_list = ("shares",)
    list_display = (
        "broker_name",
        "enabled",
        "paper_trading",
        "status_label",
        "health_label",
        shown.column("allocation_percent", "target", show=shown.share),
        shown.column("portfolio_value", show=shown.money),
        shown.column("cash", show=shown.money),
        shown.column("buying_power", show=shown.money),
        "currency",
        shown.column("last_updated", "as of (UTC)", show=shown.stamp),
    )
    list_filter = ("enabled", "adapter", "status")
    list_select_related = ("health",)
    search_fields = ("broker_name", "account_id")
    sortable_by = ("broker_name",)

    def has_shares_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "change")

    @action(description="Shares and switches", permissions=["shares"], icon="tune")
    def shares(self, request: HttpRequest) -> HttpResponse:
        """Enable and disable accounts and set their shares, with a reason, as a version of the configuration."""
        form = SharesForm(request.POST or None, accounts=configured_accounts())
        if request.method == "POST" and form.is_valid():
            asked = {"actor": request.user.get_username(), "reason": form.cleaned_data["reason"]}
            if carry_out(form, lambda: self._set(request, form, **asked)):
                return redirect("admin:brokers_brokeraccount_changelist")
        back = reverse("admin:brokers_brokeraccount_changelist")
        title = "Shares and switches of the accounts"
        return self.page(request, "admin/brokers/brokeraccount/shares.html", title=title, form=form, back=back)

    def _set(self, request: HttpRequest, form: SharesForm, **asked) -> bool:
        record = change_accounts(form.wanted(), **asked)
        self.message_user(request, f"{record} is in force." if record else "The accounts are like that already.")
        return True

    @display(description="status", label=STATUS_LABELS)
    def status_label(self, account: BrokerAccount) -> str:
        return account.status

    @display(description="connection", label={"healthy": "success", "down": "danger"})
    def health_label(self, account: BrokerAccount) -> str:
        health = getattr(account, "health", None)
        return "" if health is None else "healthy" if health.healthy else "down"


@admin.register(AccountHealth)
class AccountHealthAdmin(ReadOnlyAdmin):
    """How each connection has done lately."""

    list_display = (
        "account",
        "healthy",
        "breaker_state",
        "connection",
        shown.column("error_rate", "failed calls", show=_share_or_nothing),
        "latency",
        "budget",
        shown.column("last_ok_at", "last answer (UTC)", show=shown.stamp),
        shown.column("last_message_at", "last heard (UTC)", show=shown.stamp),
        shown.column("last_error_at", "last error (UTC)", show=shown.stamp),
        "error_in_short",
    )
    list_filter = ("healthy", "breaker_state")
    list_select_related = ("account",)
    sortable_by = ()

    @display(description="connection", label={"open": "success", "lost": "danger"})
    def connection(self, health: AccountHealth) -> str:
        return {True: "open", False: "lost", None: ""}[health.is_connected]

    @admin.display(description="p50 / p95 / p99, ms")
    def latency(self, health: AccountHealth) -> str:
        figures = (health.latency_p50_ms, health.latency_p95_ms, health.latency_p99_ms)
        return shown.EMPTY if None in figures else " / ".join(f"{figure:.0f}" for figure in figures)

    @admin.display(description="requests left")
    def budget(self, health: AccountHealth) -> str:
        left = health.requests_left
        return shown.EMPTY if left is None else f"{left} of {health.budget_limit}"

    @admin.display(description="last error")
    def error_in_short(self, health: AccountHealth) -> str:
        return health.last_error


@admin.register(AccountLease)
class AccountLeaseAdmin(ReadOnlyAdmin):
    """Which process holds each long-lived connection."""

    list_display = (
        "account",
        "holder",
        shown.column("taken_at", "taken (UTC)", show=shown.stamp),
        shown.column("expires_at", "expires (UTC)", show=shown.stamp),
    )
    list_select_related = ("account",)
    sortable_by = ()


@admin.register(Instrument)
class InstrumentAdmin(ReadOnlyAdmin):
    """What the desk knows how to trade."""

    list_display = ("symbol", "name", "asset_class", "currency", "sector")
    list_filter = ("asset_class", "currency")
    search_fields = ("symbol", "name")
    search_help_text = "Symbol or name"
    sortable_by = ("symbol",)

    def change_view(self, request, object_id, form_url="", extra_context=None) -> HttpResponse:
        """Show an instrument; to those who may change one also a form for its sector."""
        row = self.viewed(request, object_id)
        if row is None or not self.may(request, "change"):
            return super().change_view(request, object_id, form_url, extra_context)
        form = SectorForm(request.POST or None, initial={"sector": row.sector})
        if request.method == "POST" and form.is_valid():
            actor = request.user.get_username()
            if carry_out(form, lambda: set_sector(instrument=row, actor=actor, **form.cleaned_data)):
                self.message_user(request, f"{row}: the sector is kept.")
                return redirect("admin:brokers_instrument_changelist")
        lead = f"{row.name or row}, {row.get_asset_class_display()} in {row.currency}"
        back = reverse("admin:brokers_instrument_changelist")
        context = {"form": form, "button": "Keep", "back": back, "lead": lead}
        return self.page(request, "admin/desk/form.html", title=f"Sector of {row}", **context)


@admin.register(Listing)
class ListingAdmin(ReadOnlyAdmin):
    """Instruments as each account may trade them."""

    list_display = (
        "account",
        "instrument",
        "broker_symbol",
        "exchange",
        "tradable",
        "fractionable",
        "shortable",
        "marginable",
        shown.column("price_increment", "tick", show=shown.number),
        shown.column("min_order_qty", "least quantity", show=shown.number),
    )
    list_display_links = ("instrument",)
    list_filter = ("account", "tradable", "fractionable", "shortable")
    list_select_related = ("account", "instrument")
    search_fields = ("broker_symbol", "instrument__symbol")
    search_help_text = "Symbol"
    ordering = ("pk",)
    sortable_by = ()

    def search_by(self, term: str) -> Q:
        return Q(instrument__in=Instrument.objects.filter(symbol__startswith=term.upper()))


class ListedAdmin(ReadOnlyAdmin):
    """Figures of what an account lists, found by the symbol."""

    list_filter = ("listing__account",)
    list_select_related = ("listing__instrument",)
    search_fields = ("listing__broker_symbol",)
    search_help_text = "Symbol"
    sortable_by = ()

    def search_by(self, term: str) -> Q:
        return Q(listing__instrument__in=Instrument.objects.filter(symbol__startswith=term.upper()))

    @admin.display(description="symbol")
    def symbol(self, row: Quote | DailyBar) -> str:
        return row.listing.instrument.symbol

    @admin.display(description="broker")
    def broker(self, row: Quote | DailyBar) -> str:
        return row.listing.account_id


@admin.register(Quote)
class QuoteAdmin(ListedAdmin):
    """The latest best bid and offer of each listing that anybody wanted."""

    list_display = (
        "symbol",
        "broker",
        shown.column("bid_px", "bid", show=shown.number),
        shown.column("bid_size", "size", show=shown.number),
        shown.column("ask_px", "ask", show=shown.number),
        shown.column("ask_size", "size", show=shown.number),
        "feed",
        shown.column("quote_time", "quoted (UTC)", show=shown.stamp),
        shown.column("received_at", "confirmed (UTC)", show=shown.stamp),
    )
    ordering = ("pk",)


@admin.register(DailyBar)
class DailyBarAdmin(ListedAdmin):
    """Whole trading days, adjusted for splits and dividends, as each account's broker tells them."""

    list_display = (
        "symbol",
        "broker",
        "day",
        shown.column("open_px", "open", show=shown.number),
        shown.column("high_px", "high", show=shown.number),
        shown.column("low_px", "low", show=shown.number),
        shown.column("close_px", "close", show=shown.number),
        shown.column("volume", show=shown.number),
        "feed",
        shown.column("received_at", "told (UTC)", show=shown.stamp),
    )


@admin.register(AccountSnapshot)
class AccountSnapshotAdmin(ReadOnlyAdmin):
    """What accounts were worth, moment by moment."""

    list_display = (
        shown.column("taken_at", "taken (UTC)", show=shown.stamp),
        "account",
        shown.column("equity", show=shown.money),
        shown.column("cash", show=shown.money),
        shown.column("daily_pnl", "day's profit", show=shown.money),
    )
    list_display_links = ("account",)
    list_filter = ("account",)
    list_select_related = ("account",)
    sortable_by = ()
