"""The suite sees what it is there for: an adapter that claims what it cannot do, or hides what went wrong, fails it."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from brokers.adapters.alpaca.adapter import Adapter
from brokers.messages import BrokerError, NotSupported, OrderRefused, OutcomeUnknown
from tests.conformance import test_faults, test_orders, test_reading, test_streams
from tests.conformance.bench import PRICES, bench_for
from tests.conformance.harnesses import alpaca
from tests.conformance.sandbox import SEND_FAULTS
from tradingdesk.fix import OrdType, TimeInForce

pytestmark = [pytest.mark.parametrize("harness", ["alpaca"], indirect=True), pytest.mark.slow]
FOK = {"ord_type": OrdType.LIMIT, "time_in_force": TimeInForce.FOK, **PRICES[OrdType.LIMIT]}
TRAILING = {"ord_type": OrdType.TRAILING_STOP, "time_in_force": TimeInForce.DAY, **PRICES[OrdType.TRAILING_STOP]}
DROPPED = SEND_FAULTS[0]
CAUGHT = (AssertionError, BrokerError, pytest.fail.Exception)


class CannotFillOrKill(Adapter):
    """Claims fill-or-kill, and cannot say it."""

    def submit(self, order):
        if order.time_in_force == TimeInForce.FOK:
            raise NotSupported("fok")
        return super().submit(order)


class ForgetsTheTrail(Adapter):
    """Claims trailing stops, and sends market orders."""

    def submit(self, order):
        if order.ord_type == OrdType.TRAILING_STOP:
            order = replace(order, ord_type=OrdType.MARKET, trail_price=None)
        return super().submit(order)


class SendsAgain(Adapter):
    """Sends what is in doubt once more, under another id."""

    def submit(self, order):
        try:
            return super().submit(order)
        except OutcomeUnknown:
            return super().submit(replace(order, client_order_id=f"{order.client_order_id}-again"))


class CallsDoubtARefusal(Adapter):
    """Says "refused" of what nobody knows."""

    def submit(self, order):
        try:
            return super().submit(order)
        except OutcomeUnknown as doubt:
            raise OrderRefused(doubt.text) from doubt


class ClaimsUniqueIds(Adapter):
    """Claims that its broker refuses an id that was used, and makes a new one of every id."""

    count = 0

    def submit(self, order):
        ClaimsUniqueIds.count += 1
        return super().submit(replace(order, client_order_id=f"{order.client_order_id}-{self.count}"))


class OnlyPretendsToReplace(Adapter):
    """Claims replacing, and answers without asking."""

    def replace(self, request):
        return self.read_order(request.broker_order_id)


class TakesNoAnswerForNone(Adapter):
    """Says "no open orders" when it does not know."""

    def open_orders(self):
        try:
            return super().open_orders()
        except BrokerError:
            return []


class SkipsFills(Adapter):
    """Gives no fill but the last."""

    def executions(self, *, after=None, after_id=""):
        return super().executions(after=after, after_id=after_id)[-1:]


class TellsNothing(Adapter):
    """Claims a stream, and says that it is open."""

    def start(self, listener):
        listener.on_connected()


LIES: list[tuple[type[Adapter], Callable]] = [
    (CannotFillOrKill, lambda bench: test_orders.test_claimed_order_is_taken_as_it_was_asked_for(bench, FOK)),
    (ForgetsTheTrail, lambda bench: test_orders.test_claimed_order_is_taken_as_it_was_asked_for(bench, TRAILING)),
    (SendsAgain, lambda bench: hit(bench, test_faults.test_submit_that_goes_wrong_is_never_a_second_order)),
    (CallsDoubtARefusal, lambda bench: hit(bench, test_faults.test_submit_that_goes_wrong_is_never_a_second_order)),
    (ClaimsUniqueIds, test_orders.test_same_order_again_is_the_same_order),
    (OnlyPretendsToReplace, lambda bench: test_orders.test_replaced_order_is_as_it_was_asked_for_and_still_one(
        bench, {"price": Decimal(99)})),
    (TakesNoAnswerForNone, lambda bench: hit(bench, test_faults.test_read_that_goes_wrong_says_so_and_never_gives_less,
                                             read="open_orders")),
    (SkipsFills, test_reading.test_executions_go_on_from_the_last_one_without_a_gap),
    (TellsNothing, test_streams.test_fill_at_once_is_told),
]  # fmt: skip


def hit(bench, test, **more) -> None:
    """Run a test of faults, with the fault that hides an answer."""
    fault = next(one for one in alpaca.Harness.read_faults if one.name == "500") if more else DROPPED
    test(lambda *, impatient: bench, fault, **more)


@pytest.mark.parametrize(("liar", "test"), LIES, ids=[liar.__name__ for liar, _ in LIES])
def test_adapter_that_lies_is_found_out(harness, liar, test, monkeypatch):
    """What a liar never does is waited for in vain, so not for long."""
    with bench_for(harness, liar) as bench:
        monkeypatch.setattr("tests.waiting.WITHIN_S", 1.5)
        with pytest.raises(CAUGHT):
            test(bench)


@pytest.mark.parametrize("test", [test for _, test in LIES], ids=[liar.__name__ for liar, _ in LIES])
def test_adapter_that_does_not_lie_passes_the_same(harness, test):
    with bench_for(harness) as bench:
        test(bench)
