"""The back office's side bar: what operators look for, grouped as they work; each sees what they may open."""

from collections.abc import Callable

from django.http import HttpRequest
from django.urls import reverse_lazy
from django.utils.module_loading import import_string

TICKET = reverse_lazy("admin:orders_order_add")
PORTFOLIO_RISK = reverse_lazy("admin:risk_portfolio")
KILL_SWITCH = reverse_lazy("admin:risk_halt_switch")


def sidebar(request: HttpRequest) -> dict:
    """Describe the side bar, as Unfold reads it."""
    groups = [{**group, "items": [_counted(item, request) for item in group["items"]]} for group in NAVIGATION]
    return {"show_search": True, "show_all_applications": False, "navigation": groups}


def _counted(item: dict, request: HttpRequest) -> dict:
    """Put a badge at an item whose `count` finds what waits there; none for who may not open it, and none of 0."""
    if "count" not in item or not item["permission"](request):
        return item
    kept = vars(request).setdefault("desk_counts", {})  # a page asks for the side bar several times
    if item["count"] not in kept:
        kept[item["count"]] = import_string(item["count"])(request)
    return {**item, "badge": kept[item["count"]], "badge_variant": "danger"}


def _may(permission: str) -> Callable[[HttpRequest], bool]:
    return lambda request: request.user.has_perm(permission)


def _list(title: str, icon: str, app_label: str, model: str) -> dict:
    """One model's list, for those who may view it."""
    link = reverse_lazy(f"admin:{app_label}_{model}_changelist")
    return {"title": title, "icon": icon, "link": link, "permission": _may(f"{app_label}.view_{model}")}


def _on_ticket(request: HttpRequest) -> bool:
    return request.path == str(TICKET)


def _on_orders(request: HttpRequest) -> bool:
    return request.path.startswith(str(reverse_lazy("admin:orders_order_changelist"))) and not _on_ticket(request)


def _on_limits(request: HttpRequest) -> bool:
    return request.path.startswith(str(reverse_lazy("admin:risk_limit_changelist")))


def _on_exposure(request: HttpRequest) -> bool:
    listed = str(reverse_lazy("admin:risk_exposuretotal_changelist"))
    return request.path.startswith(listed) and request.path != str(PORTFOLIO_RISK)


def _on_halts(request: HttpRequest) -> bool:
    listed = str(reverse_lazy("admin:risk_halt_changelist"))
    return request.path.startswith(listed) and request.path != str(KILL_SWITCH)


NAVIGATION = [
    {
        "title": "Trading",
        "items": [
            {"title": "Overview", "icon": "dashboard", "link": reverse_lazy("admin:index")},
            {**_list("Orders", "list_alt", "orders", "order"), "active": _on_orders},
            {
                "title": "New order",
                "icon": "add_circle",
                "link": TICKET,
                "permission": _may("orders.add_order"),
                "active": _on_ticket,
            },
            _list("Positions", "donut_small", "orders", "position"),
            _list("Executions", "swap_horiz", "orders", "execution"),
            _list("Trade logs", "history", "orders", "tradelog"),
            _list("Signals", "sensors", "orders", "signal"),
        ],
    },
    {
        "title": "Brokers",
        "separator": True,
        "items": [
            _list("Accounts", "account_balance", "brokers", "brokeraccount"),
            _list("Health", "monitor_heart", "brokers", "accounthealth"),
            {**_list("Breaks", "rule", "orders", "reconciliationbreak"), "count": "orders.admin.waiting.open_breaks"},
            _list("Comparisons", "compare_arrows", "orders", "reconciliationrun"),
            _list("Connections", "cable", "brokers", "accountlease"),
            _list("Instruments", "category", "brokers", "instrument"),
            _list("Listings", "storefront", "brokers", "listing"),
            _list("Quotes", "sell", "brokers", "quote"),
            _list("Daily bars", "candlestick_chart", "brokers", "dailybar"),
            _list("Snapshots", "timeline", "brokers", "accountsnapshot"),
        ],
    },
    {
        "title": "Risk",
        "separator": True,
        "items": [
            {
                "title": "Limits",
                "icon": "speed",
                "link": reverse_lazy("admin:risk_limit_use"),
                "permission": _may("risk.view_limit"),
                "active": _on_limits,
            },
            {
                **_list("Approvals", "approval", "orders", "approval"),
                "count": "orders.admin.waiting.approvals_to_decide",
            },
            {"title": "Kill switch", "icon": "front_hand", "link": KILL_SWITCH, "permission": _may("risk.view_halt")},
            {**_list("Halts", "do_not_touch", "risk", "halt"), "active": _on_halts},
            {**_list("Exposure", "stacked_bar_chart", "risk", "exposuretotal"), "active": _on_exposure},
            {
                "title": "Portfolio risk",
                "icon": "query_stats",
                "link": PORTFOLIO_RISK,
                "permission": _may("risk.view_exposuretotal"),
            },
            _list("Losses", "trending_down", "risk", "equitymark"),
            _list("Exchange rates", "currency_exchange", "risk", "exchangerate"),
            _list("Rebalancing", "balance", "orders", "rebalanceplan"),
        ],
    },
    {
        "title": "Audit",
        "separator": True,
        "items": [
            _list("Trail", "manage_search", "tradingdesk", "auditevent"),
            _list("Risk decisions", "gavel", "orders", "riskdecision"),
            _list("Routing decisions", "alt_route", "orders", "routingdecision"),
            _list("Signal decisions", "filter_alt", "orders", "signaldecision"),
            _list("Requests", "outbox", "orders", "orderrequest"),
            _list("Cancels by halts", "cancel_schedule_send", "orders", "haltcancel"),
            _list("Broker messages", "forum", "orders", "brokermessage"),
            _list("Configuration", "tune", "tradingdesk", "configurationrecord"),
        ],
    },
    {
        "title": "System",
        "separator": True,
        "items": [
            _list("Users", "person", "auth", "user"),
            _list("Groups", "group", "auth", "group"),
            _list("API tokens", "key", "authtoken", "tokenproxy"),
            _list("Broker credentials", "lock", "tradingdesk", "credential"),
            _list("Schedules", "schedule", "django_celery_beat", "periodictask"),
            _list("Migrations", "move_down", "orders", "migrationrun"),
            _list("Quarantine", "report", "orders", "quarantinedrow"),
            _list("Desk state", "settings_backup_restore", "orders", "deskstate"),
        ],
    },
]
