"""A listener that keeps what an adapter tells it, for tests of streams."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from brokers.messages import CancelRejected, ExecutionReport, QuoteState
from tests.waiting import eventually
from tradingdesk.fix import ExecType


@dataclass
class KeepingListener:
    """Everything that was told, in order; `fails_on` makes the next fact of a kind raise."""

    facts: list[ExecutionReport | CancelRejected] = field(default_factory=list)
    quotes: list[QuoteState] = field(default_factory=list)
    connections: int = 0
    lost: list[str] = field(default_factory=list)
    fails_on: ExecType | None = None
    threads: set[int] = field(default_factory=set)

    def on_facts(self, facts: Sequence[ExecutionReport | CancelRejected]) -> None:
        self.threads.add(threading.get_ident())
        for fact in facts:
            self._take(fact)

    def _take(self, fact: ExecutionReport | CancelRejected) -> None:
        if isinstance(fact, ExecutionReport) and fact.exec_type == self.fails_on:
            self.fails_on = None
            raise RuntimeError("the database is away")
        self.facts.append(fact)

    def on_quote(self, quote: QuoteState) -> None:
        self.threads.add(threading.get_ident())
        self.quotes.append(quote)

    def on_connected(self) -> None:
        self.connections += 1

    def on_disconnected(self, reason: str) -> None:
        self.lost.append(reason)

    def reports(self, broker_order_id: str, exec_type: ExecType) -> list[ExecutionReport]:
        """The reports of one kind about an order."""
        reports = [fact for fact in list(self.facts) if isinstance(fact, ExecutionReport)]
        return [one for one in reports if (one.broker_order_id, one.exec_type) == (broker_order_id, exec_type)]

    def wait_for(self, broker_order_id: str, exec_type: ExecType) -> ExecutionReport:
        """The first report of one kind about an order, once it is there."""
        return eventually(lambda: self.reports(broker_order_id, exec_type), f"{exec_type}")[0]
