"""Executions as TWS numbers them: a correction has its trade's id, but for the revision after the last period."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from brokers.sandbox.book import ZERO, Execution
from tradingdesk.fix import ExecType


@dataclass(frozen=True, slots=True)
class Fill:
    """An execution with its id at TWS, the order's average price after it, and what the trade has cost in all."""

    execution: Execution
    exec_id: str
    perm_id: int
    avg_px: Decimal
    fee: Decimal


@dataclass(slots=True)
class _Trade:
    stem: str
    revision: int = 0
    value: Decimal = ZERO
    fee: Decimal = ZERO


class Fills:
    """The executions of one account in the order in which they came."""

    def __init__(self) -> None:
        self.all: list[Fill] = []
        self._trades: dict[str, _Trade] = {}
        self._values: dict[int, Decimal] = {}

    def add(self, execution: Execution, perm_id: int) -> Fill:
        """Take in the next execution of an order."""
        trade = self._trades.get(execution.ref_id) or _Trade(_stem(execution.exec_id))
        self._trades[execution.exec_id] = trade
        value = ZERO if execution.exec_type is ExecType.TRADE_CANCEL else execution.qty * execution.px
        total = self._values[perm_id] = self._values.get(perm_id, ZERO) + value - trade.value
        trade.revision, trade.value, trade.fee = trade.revision + 1, value, trade.fee + execution.fee
        average = total / execution.cum_qty if execution.cum_qty else ZERO
        self.all.append(Fill(execution, f"{trade.stem}.{trade.revision:02d}", perm_id, average, trade.fee))
        return self.all[-1]

    def standing(self) -> list[Fill]:
        """The trades as they stand: the latest revision of each, busts gone."""
        latest = {fill.exec_id.rpartition(".")[0]: fill for fill in self.all}
        return [fill for fill in latest.values() if fill.execution.exec_type is not ExecType.TRADE_CANCEL]


def _stem(exec_id: str) -> str:
    digits = exec_id.replace("-", "")
    return f"{digits[:8]}.{digits[8:16]}.01"
