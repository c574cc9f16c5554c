"""The orders app's tables, one subject a module."""

from orders.models.approval import Approval
from orders.models.decision import RiskDecision, RoutingDecision
from orders.models.desk_state import DeskState
from orders.models.execution import BrokerMessage, Execution
from orders.models.halt_cancel import HaltCancel
from orders.models.migration import MigrationRun, QuarantinedRow
from orders.models.order import Order
from orders.models.position import Position, TradeLog
from orders.models.rebalancing import RebalanceLeg, RebalancePlan
from orders.models.reconciliation import ReconciliationBreak, ReconciliationMemory, ReconciliationRun
from orders.models.request import OrderRequest
from orders.models.signal import Signal, SignalDecision

__all__ = [
    "Approval",
    "BrokerMessage",
    "DeskState",
    "Execution",
    "HaltCancel",
    "MigrationRun",
    "Order",
    "OrderRequest",
    "Position",
    "QuarantinedRow",
    "RebalanceLeg",
    "RebalancePlan",
    "ReconciliationBreak",
    "ReconciliationMemory",
    "ReconciliationRun",
    "RiskDecision",
    "RoutingDecision",
    "Signal",
    "SignalDecision",
    "TradeLog",
]
