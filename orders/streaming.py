"""Hosting an account's stream: one process holds the lease, hears what the broker says, and applies it.

The stream makes the desk quick; reading (`orders.sync`) makes it complete. Whatever was said while
nobody listened is read as soon as the stream is open again.
"""

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import groupby

from django.db import DatabaseError, connection

from brokers import lease, market
from brokers.gateway import Gateway, forget_gateway, gateway_for
from brokers.messages import BrokerError, CancelRejected, ExecutionReport, QuoteState
from brokers.models import BrokerAccount
from brokers.registry import adapter_class
from orders import sync, wakeups
from orders.executions import apply_cancel_rejected, apply_reports
from orders.models import Order

log = logging.getLogger(__name__)

RENEW_EVERY = 3.0
STOP_SECONDS = 5.0
QUOTES_EVERY = 0.5


class DeskListener:
    """Applies what one account's broker says. Called from the adapter's own thread."""

    def __init__(self, account: BrokerAccount, gateway: Gateway):
        self.account, self.gateway = account, gateway
        self.quotes: dict[str, QuoteState] = {}

    def on_facts(self, facts: Sequence[ExecutionReport | CancelRejected]) -> None:
        """See `brokers.adapter.Listener`. Raises what the database raises: not every fact was stored."""
        try:
            for refused, alike in groupby(facts, key=lambda fact: isinstance(fact, CancelRejected)):
                if refused:
                    for fact in alike:
                        self._cancel_rejected(fact)
                else:
                    self._reports(list(alike))
        finally:
            connection.close()

    def on_quote(self, quote: QuoteState) -> None:
        """See `brokers.adapter.Listener`. Only the latest of each symbol is kept, until the keeper stores it."""
        self.quotes[quote.symbol] = quote

    def on_connected(self) -> None:
        """See `brokers.adapter.Listener`."""
        log.info("%s: the stream is open", self.account.broker_name)
        sync.note_stream(self.account.broker_name, is_open=True)
        wakeups.sync_soon(self.account.broker_name)
        wakeups.reconcile_soon(self.account.broker_name, countdown=wakeups.RECONCILE_AFTER_CONNECT)

    def on_disconnected(self, reason: str) -> None:
        """See `brokers.adapter.Listener`."""
        log.warning("%s: the stream is lost: %s", self.account.broker_name, reason)
        sync.note_stream(self.account.broker_name, is_open=False)

    def _reports(self, reports: Sequence[ExecutionReport]) -> None:
        """Apply reports together; one by one where one is about an order that the desk does not know."""
        if len(reports) > 1:
            with suppress(Order.DoesNotExist):
                apply_reports(account=self.account, reports=reports)
                return
        for report in reports:
            sync.apply_any(self.account, self.gateway, report)

    def _cancel_rejected(self, rejected: CancelRejected) -> None:
        try:
            apply_cancel_rejected(account=self.account, rejected=rejected)
        except Order.DoesNotExist:
            log.info("%s: a cancel of an order that is not ours was rejected", self.account.broker_name)

    def take_quotes(self) -> list[QuoteState]:
        """The latest quotes since the last call."""
        quotes, self.quotes = self.quotes, {}
        return list(quotes.values())


class StreamKeeper:
    """Keeps one account's stream: takes the lease, starts the adapter, renews, and lets go when the lease is lost."""

    def __init__(self, broker_name: str):
        self.broker_name = broker_name
        self.listener: DeskListener | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"stream.{broker_name}", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Have it close the stream and give the lease back."""
        self._stopping.set()

    def join(self) -> None:
        """Wait for its end, at most `STOP_SECONDS`."""
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        said = ""
        while not self._stopping.is_set():
            try:
                self._keep()
            except (DatabaseError, BrokerError) as error:
                if said != (said := str(error)):
                    log.warning("%s: the stream cannot be kept: %s", self.broker_name, error)
            finally:
                connection.close()
            self._stopping.wait(RENEW_EVERY)

    def _keep(self) -> None:
        """Hold the stream as long as the lease is ours."""
        if not lease.take(self.broker_name):
            return
        account = BrokerAccount.objects.get(pk=self.broker_name)
        gateway = gateway_for(account)
        self.listener = DeskListener(account, gateway)
        gateway.start(self.listener)
        try:
            self._attend(account, gateway)
        finally:
            self.listener = None
            sync.note_stream(self.broker_name, is_open=False)
            forget_gateway(self.broker_name)
            lease.give_back(self.broker_name)

    def _attend(self, account: BrokerAccount, gateway: Gateway) -> None:
        renewed = 0.0
        while not self._stopping.wait(QUOTES_EVERY):
            if time.monotonic() - renewed >= RENEW_EVERY:
                if not lease.renew(self.broker_name) or gateway_for(account) is not gateway:
                    return
                gateway.watch_quotes(market.broker_symbols(account, sync.wanted_symbols(account)))
                renewed = time.monotonic()
            market.store_quotes(account, self.listener.take_quotes())
            connection.close()


_keepers: dict[str, StreamKeeper] = {}


def keep_streams(broker_names: Iterable[str]) -> None:
    """Keep the streams of these accounts in this process, where their adapters have one."""
    for name in broker_names:
        account = BrokerAccount.objects.filter(pk=name, enabled=True).first()
        if account is not None and name not in _keepers and adapter_class(account.adapter).capabilities.streaming:
            _keepers[name] = StreamKeeper(name)
            _keepers[name].start()


def stop_streams() -> None:
    """Close every stream of this process."""
    keepers = list(_keepers.values())
    _keepers.clear()
    for keeper in keepers:
        keeper.ask_to_stop()
    for keeper in keepers:
        keeper.join()
