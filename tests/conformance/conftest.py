"""Counterparties and adapters: one counterparty for each harness and run, one adapter for most tests."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import pytest

from tests.conformance.bench import Bench, bench_for
from tests.conformance.harness import ASK_PX, BID_PX, Harness
from tests.conformance.harnesses import harness_class, harness_names


@pytest.fixture(scope="session")
def _harness_called(tmp_path_factory) -> Iterator[Callable[[str], Harness]]:
    with ExitStack() as stack:
        yield cache(lambda name: stack.enter_context(harness_class(name).started(tmp_path_factory.mktemp(name))))


@pytest.fixture(scope="session")
def _bench_called(_harness_called) -> Iterator[Callable[..., Bench]]:
    with ExitStack() as stack:

        @cache
        def bench(name: str, impatient: bool = False) -> Bench:
            return stack.enter_context(bench_for(_harness_called(name), impatient=impatient, listens=False))

        yield bench


@pytest.fixture(params=harness_names())
def harness(request, _harness_called) -> Iterator[Harness]:
    """One adapter's counterparty: before a test it holds nothing and its symbol has a price, and nothing
    works and no fault is ordered after it."""
    running = _harness_called(request.param)
    running.show(BID_PX, ASK_PX)
    running.flatten()
    yield running
    running.clear()
    running.cancel_all()


@pytest.fixture
def bench(harness, _bench_called) -> Bench:
    """The adapter that the tests of a harness share: it comes back from whatever is done to it. It has no listener."""
    return _bench_called(harness.name)


@pytest.fixture
def bench_with(harness, bench, _bench_called) -> Callable[..., Bench]:
    """The shared adapter, or with `impatient` one that soon gives up what is not answered."""
    return lambda *, impatient: _bench_called(harness.name, impatient=True) if impatient else bench
