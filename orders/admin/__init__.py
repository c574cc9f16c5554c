"""The orders app's pages in the back office, one subject a module."""

from orders.admin.approvals import ApprovalAdmin
from orders.admin.blotter import OrderAdmin
from orders.admin.decisions import RiskDecisionAdmin, RoutingDecisionAdmin
from orders.admin.executions import BrokerMessageAdmin, ExecutionAdmin
from orders.admin.halts import HaltAdmin, HaltCancelAdmin
from orders.admin.legacy import MigrationRunAdmin, QuarantinedRowAdmin, SignalAdmin, SignalDecisionAdmin
from orders.admin.positions import PositionAdmin, TradeLogAdmin
from orders.admin.rebalancing import RebalanceLegAdmin, RebalancePlanAdmin
from orders.admin.reconciliation import ReconciliationBreakAdmin, ReconciliationMemoryAdmin, ReconciliationRunAdmin
from orders.admin.requests import DeskStateAdmin, OrderRequestAdmin

__all__ = [
    "ApprovalAdmin",
    "BrokerMessageAdmin",
    "DeskStateAdmin",
    "ExecutionAdmin",
    "HaltAdmin",
    "HaltCancelAdmin",
    "MigrationRunAdmin",
    "OrderAdmin",
    "OrderRequestAdmin",
    "PositionAdmin",
    "QuarantinedRowAdmin",
    "RebalanceLegAdmin",
    "RebalancePlanAdmin",
    "ReconciliationBreakAdmin",
    "ReconciliationMemoryAdmin",
    "ReconciliationRunAdmin",
    "RiskDecisionAdmin",
    "RoutingDecisionAdmin",
    "SignalAdmin",
    "SignalDecisionAdmin",
    "TradeLogAdmin",
]
