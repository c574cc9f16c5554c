"""Which cases there are for each adapter: from what it claims, and from what can go wrong at its counterparty."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from brokers.adapter import Capabilities
from brokers.messages import NewLeg
from tests.conformance.bench import PRICES, RESTING, new_order
from tests.conformance.harness import Harness
from tests.conformance.harnesses import harness_class, harness_names
from tradingdesk.fix import LegRole, OrderClass, OrdType, Side, TimeInForce

Terms = dict[str, Any]
TAKE_PROFIT = NewLeg("", LegRole.TAKE_PROFIT, price=Decimal(250))
STOP_LOSS = NewLeg("", LegRole.STOP_LOSS, stop_px=Decimal(90))
LINKED: list[Terms] = [
    {**RESTING, "order_class": OrderClass.BRACKET, "legs": (TAKE_PROFIT, STOP_LOSS)},
    {**RESTING, "order_class": OrderClass.OTO, "legs": (STOP_LOSS,)},
    {**RESTING, "order_class": OrderClass.OCO, "legs": (STOP_LOSS,), "side": Side.SELL, "price": Decimal(250)},
]
FRACTION, NOTIONAL = Decimal("1.5"), Decimal(500)


def each(cases: Callable[[type[Harness]], Iterable[Any]]) -> pytest.MarkDecorator:
    """Run a test for every case of every harness."""
    found = [
        pytest.param(name, case, id=f"{name}-{_named(case)}")
        for name in harness_names()
        for case in cases(harness_class(name))
    ]
    return pytest.mark.parametrize(("harness", "case"), found, indirect=["harness"])


def claimed_orders(harness: type[Harness]) -> list[Terms]:
    """The terms of one order of every kind that the adapter claims to take."""
    return [terms for terms in _every_order(harness) if not _objection(harness, terms)]


def refused_orders(harness: type[Harness]) -> list[Terms]:
    """The terms of orders that its capabilities exclude."""
    return [terms for terms in [*_every_order(harness), *LINKED] if _objection(harness, terms)]


def claimed_groups(harness: type[Harness]) -> list[Terms]:
    """The terms of one group of linked orders of every class that the adapter claims to take."""
    return [terms for terms in LINKED if not _objection(harness, terms)]


def send_faults(harness: type[Harness]) -> list[Any]:
    """Everything that can go wrong with a submit, cancel or replace."""
    return list(harness.send_faults)


def read_faults(harness: type[Harness]) -> list[Any]:
    """Everything that can go wrong with a read."""
    return list(harness.read_faults)


def stream_faults(harness: type[Harness]) -> list[str]:
    """Everything that can go wrong with the stream, where there is one."""
    return list(harness.stream_faults) if _claims(harness).streaming else []


def _claims(harness: type[Harness]) -> Capabilities:
    return harness.adapter_class().capabilities


def _objection(harness: type[Harness], terms: Terms) -> str:
    return _claims(harness).objection(new_order(symbol=harness.symbol, **terms))


def _every_order(harness: type[Harness]) -> Iterator[Terms]:
    for ord_type in OrdType:
        for time_in_force in TimeInForce:
            plain = {"ord_type": ord_type, "time_in_force": time_in_force}
            yield plain | PRICES[ord_type]
            yield plain | PRICES[ord_type] | {"order_qty": FRACTION}
            yield plain | PRICES[ord_type] | {"notional": NOTIONAL}
            yield plain | PRICES[ord_type] | {"extended_hours": True}
        if ord_type == OrdType.TRAILING_STOP:
            yield {"ord_type": ord_type, "time_in_force": TimeInForce.DAY, "trail_percent": Decimal(10)}


def _named(case: Any) -> str:
    if not isinstance(case, dict):
        return str(case)
    words = ("ord_type", "time_in_force", "order_class")
    left_out = ("price", "stop_px", "trail_price", "legs", "side")
    return "-".join(str(case[name]) if name in words else name for name in case if name not in left_out)
