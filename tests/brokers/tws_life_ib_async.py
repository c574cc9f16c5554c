"""Live the life of tws_life.py with ib_async's client and decoder: python tws_life_ib_async.py PORT CLIENT_ID."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC
from typing import Any

from ib_async import ExecutionFilter, Order, Stock
from ib_async.client import Client
from tws_life import Recorder, live

SIZE_OF = {1: 0, 2: 3, 4: 5}


class Wrapper(Recorder):
    """Stands where ib_async has its own wrapper, so nothing but its client and decoder are between us and TWS."""

    defaultTimezone = UTC

    def connectAck(self):
        pass

    def setEventsDone(self):
        pass

    def connectionClosed(self):
        pass

    def error(self, reqId, errorCode, errorString, advancedOrderRejectJson):
        self.keep_error(reqId, errorCode)

    def commissionReport(self, commissionReport):
        self.keep_commission(commissionReport.execId, commissionReport.commission)

    def priceSizeTick(self, reqId, tickType, price, size):
        self.ticks[f"price {tickType}"] = str(price)
        if tickType in SIZE_OF:
            self.tickSize(reqId, SIZE_OF[tickType], size)


class WithIbAsync:
    """See `tws_life.Actions`. The client lives on a loop of its own; requests are handed to it."""

    def __init__(self, wrapper: Wrapper):
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self.client = Client(wrapper)
        threading.Thread(target=self._run, daemon=True).start()

    def start(self, port: int, client_id: int) -> None:
        connecting = self.client.connectAsync("127.0.0.1", port, client_id, 10)
        asyncio.run_coroutine_threadsafe(connecting, self.loop).result(15)

    def place(self, order_id: int, symbol: str, **terms: Any) -> None:
        self._call(self.client.placeOrder, order_id, _stock(symbol), Order(**terms))

    def cancel(self, order_id: int) -> None:
        self._call(self.client.cancelOrder, order_id)

    def list_open(self) -> None:
        self._call(self.client.reqAllOpenOrders)

    def look(self, account: str, symbol: str) -> None:
        self._call(self.client.reqPositions)
        self._call(self.client.reqExecutions, 9001, ExecutionFilter())
        self._call(self.client.reqCompletedOrders, False)
        self._call(self.client.reqAccountUpdates, True, account)
        self._call(self.client.reqAccountSummary, 9002, "All", "NetLiquidation,BuyingPower")
        self._call(self.client.reqContractDetails, 9003, _stock(symbol))
        self._call(self.client.reqMktData, 9004, _stock(symbol), "", False, False, [])
        self._call(self.client.reqCurrentTime)

    def stop(self) -> None:
        self._call(self.client.disconnect)

    def server_version(self) -> int:
        return self.client.serverVersion()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def _call(self, function: Any, *arguments: Any) -> None:
        self.loop.call_soon_threadsafe(lambda: function(*arguments))


def _stock(symbol: str) -> Stock:
    return Stock(symbol, "SMART", "USD")


if __name__ == "__main__":
    recorder = Wrapper()
    live(WithIbAsync(recorder), recorder)
