"""What is held and what round trips made. Folds over executions: nobody edits them."""

from django.contrib import admin
from django.db.models import Q
from unfold.contrib.filters.admin import DropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from orders.admin.shared import account_names, order_link, symbols_like
from orders.models import Position, TradeLog
from tradingdesk.backoffice import shown
from tradingdesk.backoffice.admins import ReadOnlyAdmin
from tradingdesk.backoffice.lists import DayRangeFilter

FOLD_NOTE = "This follows from the executions; it is never edited."


class OpenFilter(DropdownFilter):
    """Open ones or closed ones."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request, model_admin):
        return [("open", "open"), ("closed", "closed")]

    def queryset(self, request, queryset):
        if self.value() not in ("open", "closed"):
            return queryset
        return queryset.filter(closed_at__isnull=self.value() == "open")


class RoundTripAdmin(ReadOnlyAdmin):
    """What positions and trade logs share."""

    note = FOLD_NOTE
    list_filter = (OpenFilter, ("account", RelatedDropdownFilter), ("opened_at", DayRangeFilter))
    search_fields = ("symbol",)
    search_help_text = "Symbol"
    sortable_by = ()

    def search_by(self, term: str) -> Q:
        return Q(account__in=account_names()) & symbols_like(term)


@admin.register(Position)
class PositionAdmin(RoundTripAdmin):
    """What each account holds, and held."""

    list_display = (
        "account",
        "symbol",
        "state",
        shown.column("qty", "quantity", show=shown.number),
        shown.column("avg_px", "average price", show=shown.number),
        shown.column("realized_pnl", "realized", show=shown.money),
        shown.column("commission", show=shown.money),
        shown.column("opened_at", "opened (UTC)", show=shown.stamp),
        shown.column("last_trade_at", "last trade (UTC)", show=shown.stamp),
        shown.column("closed_at", "closed (UTC)", show=shown.stamp),
    )
    list_display_links = ("account", "symbol")
    list_select_related = ("account",)

    @display(description="state", label={"long": "success", "short": "danger", "flat": "default"})
    def state(self, position: Position) -> str:
        if not position.is_open:
            return "flat"
        return "long" if position.qty > 0 else "short"


@admin.register(TradeLog)
class TradeLogAdmin(RoundTripAdmin):
    """Round trips: from the first fill to flat again."""

    list_display = (
        "account",
        "symbol",
        "direction_label",
        shown.column("entry_qty", "in", show=shown.number),
        shown.column("entry_px", "at", show=shown.number),
        shown.column("exit_qty", "out", show=shown.number),
        shown.column("exit_px", "at", show=shown.number),
        shown.column("gross_pnl", "gross", show=shown.money),
        shown.column("commission", show=shown.money),
        shown.column("net_pnl", "net", show=shown.money),
        "strategy",
        order_link,
        shown.column("opened_at", "opened (UTC)", show=shown.stamp),
        shown.column("closed_at", "closed (UTC)", show=shown.stamp),
    )
    list_display_links = ("account", "symbol")
    list_select_related = ("account", "order")

    @display(description="direction", label={"long": "success", "short": "danger"})
    def direction_label(self, trade: TradeLog) -> str:
        return trade.direction
