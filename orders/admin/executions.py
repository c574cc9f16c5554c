"""Trades, busts and corrections, and every other word of the brokers: facts."""

from django.contrib import admin
from django.db.models import Q
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from orders.admin.shared import SIDE_LABELS, account_names, order_keys, order_link, symbols_like
from orders.models import BrokerMessage, Execution
from tradingdesk.backoffice import shown
from tradingdesk.backoffice.admins import AppendOnlyAdmin
from tradingdesk.backoffice.lists import DayRangeFilter, value_filter


@admin.register(Execution)
class ExecutionAdmin(AppendOnlyAdmin):
    """Trades, busts and corrections, as the brokers reported them."""

    list_display = (
        shown.column("transact_time", "time (UTC)", show=shown.stamp),
        "account",
        "symbol",
        "side_label",
        shown.column("last_qty", "qty", show=shown.number),
        shown.column("last_px", "price", show=shown.number),
        shown.column("commission", show=shown.money),
        "exec_type_label",
        order_link,
        "exec_id",
    )
    list_filter = (
        ("account", RelatedDropdownFilter),
        value_filter("symbol", "symbol"),
        ("exec_type", ChoicesDropdownFilter),
        ("side", ChoicesDropdownFilter),
        ("transact_time", DayRangeFilter),
    )
    list_select_related = ("order", "account")
    search_fields = ("exec_id", "symbol", "order__client_order_id")
    search_help_text = "Execution, order or symbol"
    sortable_by = ()

    def search_by(self, term: str) -> Q:
        return Q(account__in=account_names(), exec_id=term) | Q(order__in=order_keys(term)) | symbols_like(term)

    @display(description="side", label=SIDE_LABELS)
    def side_label(self, execution: Execution) -> str:
        return execution.side

    @display(description="what", label={"trade": "default", "trade_cancel": "danger", "trade_correct": "warning"})
    def exec_type_label(self, execution: Execution) -> str:
        return execution.exec_type


@admin.register(BrokerMessage)
class BrokerMessageAdmin(AppendOnlyAdmin):
    """What brokers said that was no trade, raw and in our words."""

    list_display = (
        shown.column("received_at", "received (UTC)", show=shown.stamp),
        "account",
        "kind",
        "status",
        order_link,
        "broker_order_id",
        "text_in_short",
    )
    list_filter = (("account", RelatedDropdownFilter), ("received_at", DayRangeFilter))
    list_select_related = ("order", "account")
    search_fields = ("order__client_order_id",)
    search_help_text = "Order"
    sortable_by = ()

    def search_by(self, term: str) -> Q:
        return Q(order__in=order_keys(term))

    @admin.display(description="text")
    def text_in_short(self, message: BrokerMessage) -> str:
        return message.text[:80]
