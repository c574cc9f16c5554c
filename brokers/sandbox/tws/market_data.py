"""Quotes for one client: first all ticks of a subscription, then those that change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from brokers.sandbox.book import Quote
from brokers.sandbox.tws import contracts
from brokers.sandbox.tws.gateway import Gateway
from brokers.sandbox.tws.refusals import MARKET_DATA, NO_CONTRACT, NO_SUCH_REQUEST, Refusal
from brokers.sandbox.tws.requests import ContractSpec
from brokers.sandbox.tws.words import Message, price

LIVE, DELAYED = 1, 3
DELAYED_KINDS = (3, 4)
BID_SIZE, BID, ASK, ASK_SIZE, LAST, LAST_SIZE, CLOSE = 0, 1, 2, 3, 4, 5, 9
DELAYED_TICKS = {BID: 66, ASK: 67, LAST: 68, BID_SIZE: 69, ASK_SIZE: 70, LAST_SIZE: 71, CLOSE: 75}
NOTHING = Decimal(-1)
SAMPLE_S = 0.1


@dataclass(slots=True)
class Subscription:
    """One request's symbol, and the ticks as last sent."""

    request_id: int
    symbol: str
    delayed: bool
    sent: dict[int, tuple[Decimal, Decimal]] = field(default_factory=dict)


class MarketData:
    """One client's subscriptions. `kind` is the market data type that it asked for."""

    def __init__(self, gateway: Gateway, tell: Callable[..., None]):
        self.gateway, self.tell = gateway, tell
        self.kind = LIVE
        self.subscriptions: dict[int, Subscription] = {}
        self._waiting: dict[str, Quote] = {}
        self._sampling = False

    def subscribe(self, request_id: int, spec: ContractSpec, *, snapshot: bool) -> None:
        """Send the ticks of a symbol from now on, or once. Raises Refusal."""
        asset = contracts.find(self.gateway.venue, spec)
        if asset is None:
            raise Refusal(*NO_CONTRACT)
        delayed = self._permitted(request_id)
        subscription = Subscription(request_id, asset.symbol, delayed)
        self.tell(
            [81, request_id, "0.01", "9c0001", "3"],
            [58, 1, request_id, DELAYED if delayed else LIVE],
        )
        quote = self.gateway.venue.engine.book(asset.symbol).quote
        if quote:
            self._send(subscription, quote)
        if snapshot:
            self.tell([57, 1, request_id])
        else:
            self.subscriptions[request_id] = subscription

    def cancel(self, request_id: int) -> None:
        """Stop a subscription. Raises Refusal."""
        if self.subscriptions.pop(request_id, None) is None:
            code, text = NO_SUCH_REQUEST
            raise Refusal(code, text.format(request_id))

    def show(self, quote: Quote) -> None:
        """Send what a quote changes, at once or, when quotes come thick and fast, with the latest of the moment."""
        if not any(subscription.symbol == quote.symbol for subscription in self.subscriptions.values()):
            return
        self._waiting[quote.symbol] = quote
        if not self._sampling:
            self._show_latest()

    def _show_latest(self) -> None:
        latest, self._waiting = self._waiting, {}
        self._sampling = bool(latest)
        if latest:
            asyncio.get_running_loop().call_later(SAMPLE_S, self._show_latest)
        for subscription in self.subscriptions.values():
            if subscription.symbol in latest:
                self._send(subscription, latest[subscription.symbol])

    def _permitted(self, request_id: int) -> bool:
        """Whether the data is delayed. Raises Refusal for none."""
        allowed = self.gateway.tws.market_data
        if allowed == "none":
            raise Refusal(354, MARKET_DATA[354])
        if allowed == "live":
            return False
        if self.kind not in DELAYED_KINDS:
            raise Refusal(10089, MARKET_DATA[10089])
        self.tell([4, 2, request_id, 10167, MARKET_DATA[10167], ""])
        return True

    def _send(self, subscription: Subscription, quote: Quote) -> None:
        for tick, (px, size) in self._ticks(quote).items():
            if subscription.sent.get(tick) != (px, size):
                self.tell(*_tick_messages(subscription, tick, px, size))
                subscription.sent[tick] = (px, size)

    def _ticks(self, quote: Quote) -> dict[int, tuple[Decimal, Decimal]]:
        last = self.gateway.venue.engine.mark(quote.symbol)
        close = self.gateway.feed.lastday.get(quote.symbol)
        return {
            BID: (quote.bid_px or NOTHING, quote.bid_size),
            ASK: (quote.ask_px or NOTHING, quote.ask_size),
            LAST: (last, Decimal(100)),
            **({CLOSE: (close, Decimal(0))} if close else {}),
        }


def _tick_messages(subscription: Subscription, tick: int, px: Decimal, size: Decimal) -> list[Message]:
    """A price tick, and the size tick that TWS sends with it."""
    size_tick = {BID: BID_SIZE, ASK: ASK_SIZE, LAST: LAST_SIZE}.get(tick)
    named = DELAYED_TICKS if subscription.delayed else {}
    messages = [[1, 6, subscription.request_id, named.get(tick, tick), price(px), size, 0]]
    if size_tick is not None:
        messages.append([2, 6, subscription.request_id, named.get(size_tick, size_tick), size])
    return messages
