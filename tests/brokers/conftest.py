"""The sandbox as the unmodified alpaca-py sees it; the Alpaca adapter at a scripted broker."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from alpaca.data.historical import StockHistoricalDataClient
from alpaca.trading.client import TradingClient

from brokers.adapters.alpaca.adapter import Adapter
from tests.brokers.alpaca_samples import KEYS
from tests.brokers.sandbox_contract import MISSING, ContractCheck
from tests.brokers.scripted_broker import ScriptedBroker, scripted_broker
from tests.waiting import eventually


@pytest.fixture
def check() -> ContractCheck:
    return ContractCheck()


@pytest.fixture
def desk(sandbox, check) -> Iterator[SimpleNamespace]:
    """Clients of the margin account with a known market: IBM at 181.90 / 182.00, plenty of size."""
    sandbox.admin.push_quote("IBM", "181.90", "182.00", 1_000_000, 1_000_000)
    sandbox.admin.push_quote("BAC", "13.90", "13.91", 1_000_000, 1_000_000)
    trading = TradingClient(*sandbox.keys("alpaca_margin"), url_override=sandbox.url)
    data = StockHistoricalDataClient(*sandbox.keys("alpaca_margin"), url_override=sandbox.url)
    if MISSING is None:
        for client in (trading, data):
            client._session.hooks["response"].append(check)
    yield SimpleNamespace(trading=trading, data=data)
    trading.close_all_positions(cancel_orders=True)
    eventually(lambda: trading.get_all_positions() == [])


@pytest.fixture
def broker() -> Iterator[ScriptedBroker]:
    """A broker on a real socket that answers as a test tells it."""
    with scripted_broker() as broker:
        yield broker


@pytest.fixture
def adapter(broker) -> Iterator[Adapter]:
    """Alpaca's adapter, as a client of the scripted broker."""
    adapter = Adapter(KEYS | {"base_url": broker.url})
    yield adapter
    adapter.close()
