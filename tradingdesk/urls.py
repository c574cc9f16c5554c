"""Where everything is. Apps above the ground are named by string, never imported."""

from django.contrib import admin
from django.urls import path, re_path
from django.utils.module_loading import import_string
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from tradingdesk import health, http


def _view(dotted: str):
    return import_string(dotted).as_view()


handler400 = http.bad_request
handler403 = http.permission_denied
handler404 = http.page_not_found
handler500 = http.server_error

urlpatterns = [
    path("healthz", csrf_exempt(health.healthz), name="healthz"),
    path("readyz", csrf_exempt(health.readyz), name="readyz"),
    path("metrics", csrf_exempt(health.metrics), name="metrics"),
    path("api/v1/orders/", _view("orders.api.orders.OrderList"), name="orders"),
    path(
        "api/v1/orders/preview/",
        _view("orders.api.orders.OrderPreview"),
        {"client_order_id": "preview"},
        name="order-preview",
    ),
    path(
        "api/v1/orders/basket/",
        _view("orders.api.basket.OrderBasket"),
        {"client_order_id": "basket"},
        name="order-basket",
    ),
    path("api/v1/orders/<str:client_order_id>/", _view("orders.api.orders.OrderDetail"), name="order"),
    path("api/v1/orders/<str:client_order_id>/approve/", _view("orders.api.approvals.OrderApproval"), name="approve"),
    path("api/v1/orders/<str:client_order_id>/refuse/", _view("orders.api.approvals.OrderRefusal"), name="refuse"),
    path("api/v1/approvals/", _view("orders.api.approvals.ApprovalList"), name="approvals"),
    path("api/v1/executions/", _view("orders.api.holdings.ExecutionList"), name="executions"),
    path("api/v1/positions/", _view("orders.api.holdings.PositionList"), name="positions"),
    path("api/v1/positions/consolidated/", _view("orders.api.holdings.ConsolidatedPositions"), name="consolidated"),
    path("api/v1/trade-logs/", _view("orders.api.holdings.TradeLogList"), name="trade-logs"),
    path("api/v1/brokers/", _view("brokers.api.BrokerList"), name="brokers"),
    path("api/v1/portfolio/", _view("analytics.api.PortfolioView"), name="portfolio"),
    path("api/v1/reconciliation/breaks/", _view("orders.api.reconciliation.BreakList"), name="breaks"),
    path(
        "api/v1/reconciliation/breaks/<int:pk>/resolve/",
        _view("orders.api.reconciliation.BreakResolution"),
        name="break-resolve",
    ),
    path("api/v1/risk/exposure/", _view("risk.api.ExposureList"), name="exposure"),
    path("api/v1/risk/portfolio/", _view("risk.portfolio.api.PortfolioRiskView"), name="portfolio-risk"),
    path("api/v1/risk/limits/", _view("risk.api.LimitList"), name="limits"),
    path("api/v1/risk/halts/", _view("orders.api.halts.HaltList"), name="halts"),
    path("api/v1/risk/halts/<int:pk>/", _view("orders.api.halts.HaltDetail"), name="halt"),
    path("api/v1/risk/flatten/", _view("orders.api.halts.Flatten"), name="flatten"),
    path("api/v1/rebalancing/preview/", _view("orders.api.rebalancing.RebalancePreview"), name="rebalance-preview"),
    path("api/v1/rebalancing/plans/", _view("orders.api.rebalancing.RebalancePlanList"), name="rebalance-plans"),
    path(
        "api/v1/rebalancing/plans/<int:pk>/", _view("orders.api.rebalancing.RebalancePlanDetail"), name="rebalance-plan"
    ),
    path(
        "api/v1/rebalancing/plans/<int:pk>/approve/",
        _view("orders.api.rebalancing.RebalancePlanApproval"),
        name="rebalance-plan-approve",
    ),
    path(
        "api/v1/rebalancing/plans/<int:pk>/reject/",
        _view("orders.api.rebalancing.RebalancePlanRejection"),
        name="rebalance-plan-reject",
    ),
    path(
        "api/v1/rebalancing/plans/<int:pk>/stop/",
        _view("orders.api.rebalancing.RebalancePlanStop"),
        name="rebalance-plan-stop",
    ),
    path("api/v1/audit/events/", _view("tradingdesk.audit.api.AuditEventList"), name="audit-events"),
    path("api/v1/config/history/", _view("tradingdesk.audit.api.ConfigurationHistory"), name="config-history"),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    re_path(r"^api/", csrf_exempt(http.page_not_found)),
    path("admin/", admin.site.urls),
]
