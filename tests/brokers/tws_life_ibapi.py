"""Live the life of tws_life.py with IBKR's own client: python tws_life_ibapi.py PORT CLIENT_ID."""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import Any

from ibapi.client import EClient
from ibapi.contract import Contract
from ibapi.execution import ExecutionFilter
from ibapi.order import Order
from ibapi.order_cancel import OrderCancel
from ibapi.wrapper import EWrapper
from tws_life import Recorder, live


class Client(Recorder, EWrapper, EClient):
    """IBKR's client that keeps what it is told."""

    def __init__(self) -> None:
        Recorder.__init__(self)
        EClient.__init__(self, wrapper=self)

    def error(self, reqId, errorTime, errorCode, errorString, advancedOrderRejectJson=""):
        self.keep_error(reqId, errorCode)

    def commissionAndFeesReport(self, commissionAndFeesReport):
        self.keep_commission(commissionAndFeesReport.execId, commissionAndFeesReport.commissionAndFees)

    def tickPrice(self, reqId, tickType, price, attrib):
        self.ticks[f"price {tickType}"] = str(price)


class WithIbapi:
    """See `tws_life.Actions`."""

    def __init__(self, client: Client):
        self.client = client

    def start(self, port: int, client_id: int) -> None:
        self.client.connect("127.0.0.1", port, client_id)
        threading.Thread(target=self.client.run, daemon=True).start()

    def place(self, order_id: int, symbol: str, **terms: Any) -> None:
        order = Order()
        for name, value in terms.items():
            setattr(order, name, Decimal(value) if name == "totalQuantity" else value)
        self.client.placeOrder(order_id, _stock(symbol), order)

    def cancel(self, order_id: int) -> None:
        self.client.cancelOrder(order_id, OrderCancel())

    def list_open(self) -> None:
        self.client.reqAllOpenOrders()

    def look(self, account: str, symbol: str) -> None:
        self.client.reqPositions()
        self.client.reqExecutions(9001, ExecutionFilter())
        self.client.reqCompletedOrders(False)
        self.client.reqAccountUpdates(True, account)
        self.client.reqAccountSummary(9002, "All", "NetLiquidation,BuyingPower")
        self.client.reqContractDetails(9003, _stock(symbol))
        self.client.reqMktData(9004, _stock(symbol), "", False, False, [])
        self.client.reqCurrentTime()

    def stop(self) -> None:
        self.client.disconnect()

    def server_version(self) -> int:
        return self.client.serverVersion()


def _stock(symbol: str) -> Contract:
    contract = Contract()
    contract.symbol, contract.secType, contract.exchange, contract.currency = symbol, "STK", "SMART", "USD"
    return contract


if __name__ == "__main__":
    recorder = Client()
    live(WithIbapi(recorder), recorder)
