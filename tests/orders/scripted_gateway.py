"""A gateway that answers as a test tells it and keeps what it was asked, with no broker behind it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from brokers.adapters.alpaca.adapter import Adapter
from brokers.messages import ExecutionReport, NewOrder
from tests.orders.facts import at
from tradingdesk.fix import ExecType, OrdStatus


def taken(order: NewOrder) -> ExecutionReport:
    """The answer of a broker that takes the order."""
    return ExecutionReport(
        exec_type=ExecType.NEW,
        broker_order_id=f"B-{order.client_order_id}",
        transact_time=at(1),
        client_order_id=order.client_order_id,
        status=OrdStatus.NEW,
    )


@dataclass
class ScriptedGateway:
    """Each call's next answer: a value, an exception to raise, or a function of the argument."""

    answers: dict[str, list] = field(default_factory=dict)
    asked: list[tuple[str, Any]] = field(default_factory=list)
    unique_client_order_ids: bool = True
    has_reconnected: bool = False

    def next_wire_ref(self) -> str:
        return ""

    def is_sent_on_closed(self, wire_ref: str) -> bool:
        return self.has_reconnected

    @property
    def capabilities(self):
        return replace(Adapter.capabilities, unique_client_order_ids=self.unique_client_order_ids)

    def will(self, call: str, *answers) -> None:
        self.answers.setdefault(call, []).extend(answers)

    @property
    def calls(self) -> list[str]:
        return [call for call, _ in self.asked]

    def submit(self, order):
        return self._answer("submit", order, taken)

    def cancel(self, request):
        return self._answer("cancel", request, None)

    def replace(self, request):
        return self._answer("replace", request, None)

    def find_order(self, client_order_id):
        return self._answer("find_order", client_order_id, None)

    def read_order(self, broker_order_id):
        return self._answer("read_order", broker_order_id, None)

    def _answer(self, call: str, argument: Any, otherwise: Any) -> Any:
        self.asked.append((call, argument))
        answer = self.answers[call].pop(0) if self.answers.get(call) else otherwise
        if isinstance(answer, Exception):
            raise answer
        return answer(argument) if isinstance(answer, Callable) else answer
