"""Executions and what they cost, which IB tells apart: joined, corrected by revision, and told once.

An execution is told with its commission, or after a short wait without; a commission that comes later is told as a
correction of the execution that changes nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any, Protocol

from brokers.messages import ExecutionReport, late_commission

from . import parsing
from .config import IBSettings
from .recent import Recent
from .wire import Commission, Trade

TRADES_KEPT = 50_000


class Labelled(Protocol):
    """What is read of a known order."""

    client_order_id: str


class TradeBook:
    """The executions of the account since we listen."""

    def __init__(
        self,
        settings: IBSettings,
        *,
        tell: Callable[[ExecutionReport], None],
        later: Callable[..., Any],
        order_of: Callable[[int], Labelled | None],
    ):
        self._settings, self._tell, self._later, self._order_of = settings, tell, later, order_of
        self._revisions: Recent[str, tuple[str, ...]] = Recent(TRADES_KEPT)
        self._commissions: Recent[str, Decimal] = Recent(TRADES_KEPT)
        self._told_without: Recent[str, ExecutionReport] = Recent(TRADES_KEPT)
        self._heard: Recent[str, bool] = Recent(TRADES_KEPT)
        self._waiting: dict[str, tuple[ExecutionReport, Any]] = {}
        self.has_given = False

    def take(self, trade: Trade) -> None:
        """Take a live execution: told at once if its commission is known, else soon."""
        exec_id = trade.execution.execId
        if trade.execution.acctNumber != self._settings.account_id or exec_id in self._heard:
            return
        self._heard[exec_id] = True
        report = self._report(trade)
        if report.commission is not None:
            self._tell(report)
        else:
            timer = self._later(self._settings.commission_wait, self._tell_without, exec_id)
            self._waiting[exec_id] = report, timer

    def take_commission(self, cost: Commission) -> None:
        """Join a commission with its execution, wherever that is by now."""
        amount = parsing.optional(cost.commission)
        if amount is None:
            return
        self._commissions[cost.exec_id] = amount
        if cost.exec_id in self._waiting:
            report, timer = self._waiting.pop(cost.exec_id)
            timer.cancel()
            self._tell(replace(report, commission=amount, raw=report.raw | {"commissionReport": list(cost.fields)}))
        if late := self._late_commission(cost.exec_id):
            self._tell(late)

    def read(self, trades: Iterable[Trade]) -> list[ExecutionReport]:
        """Read executions that were asked for, oldest first: as TWS lists them where it gives them the same second."""
        mine = [trade for trade in trades if trade.execution.acctNumber == self._settings.account_id]
        found = [self._report(trade) for trade in sorted(mine, key=_second_and_revision)]
        return sorted(found, key=lambda report: report.transact_time)

    def give(self, reports: Iterable[ExecutionReport]) -> list[ExecutionReport]:
        """Hand executions out, with the commissions of those that were handed out without: both may be on their way."""
        given, self.has_given = [], True
        for report in reports:
            given.append(report)
            if report.commission is None:
                self._told_without[report.exec_id] = report
            elif late := self._late_commission(report.exec_id):
                given.append(late)
        return given

    def flush(self) -> None:
        """Tell what waits for a commission: the connection that would bring it is gone."""
        for exec_id in list(self._waiting):
            self._tell_without(exec_id)

    def _report(self, trade: Trade) -> ExecutionReport:
        exec_id = trade.execution.execId
        stem, _ = parsing.stem_and_revision(exec_id)
        known = self._revisions.get(stem, ())
        if exec_id not in known:
            self._revisions[stem] = (*known, exec_id)
        corrects = parsing.earlier_revision(exec_id, known)
        commission = self._commissions.get(exec_id)
        report = parsing.trade_report(trade, self._settings.timezone, corrects=corrects, commission=commission)
        order = None if report.client_order_id else self._order_of(trade.execution.permId)
        return replace(report, client_order_id=order.client_order_id) if order else report

    def _tell_without(self, exec_id: str) -> None:
        report, timer = self._waiting.pop(exec_id, (None, None))
        if report is not None:
            timer.cancel()
            self._told_without[exec_id] = report
            self._tell(report)

    def _late_commission(self, exec_id: str) -> ExecutionReport | None:
        report, amount = self._told_without.get(exec_id), self._commissions.get(exec_id)
        if report is None or amount is None:
            return None
        del self._told_without[exec_id]
        return late_commission(report, amount)


def _second_and_revision(trade: Trade) -> tuple[str, int]:
    """What comes before what: a correction may bear the time of its trade."""
    return trade.time, parsing.stem_and_revision(trade.execution.execId)[1]
