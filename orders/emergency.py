"""Cancelling everything at the brokers from this process alone: no Celery, no Redis, no worker that must be alive.

Each broker has a connection of its own beside the worker's, a thread of its own, and a time that it may take. What a
broker lists as working, and what the desk knows to work there, is cancelled; an order counts as ended only when the
broker's own list no longer has it, or the order read by itself says so.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from threading import Thread

from django.db import connection, connections, transaction

from brokers.adapter import BrokerAdapter
from brokers.gateway import beside
from brokers.messages import BrokerError, CancelOrder, NotSupported, OutcomeUnknown
from brokers.models import BrokerAccount
from orders.lifecycle import CLOSED
from orders.models import Order, OrderRequest
from risk.halts import halt
from risk.models import Halt, Level
from tradingdesk.audit import trail
from tradingdesk.fix import RequestKind, RequestState

log = logging.getLogger(__name__)

TIMEOUT = 30.0
LOCK_TIMEOUT_MS = 5000
AT_ONCE = 8
LOOK_EVERY = 0.25
ASK_AGAIN_AFTER = 2.0


@dataclass(slots=True)
class Outcome:
    """What became of one broker's orders. Ids are the broker's; `problem` is what stood in the way last.

    `found` are all that were seen to work; `dispatched` those whose cancel went out and was not proved to be
    refused; `ended` those of `found` that do not work any more. `in_doubt` counts orders that the desk has sent or
    may have sent, which neither side can show yet (`seen` are the desk's ids of those that the broker listed).
    """

    broker_name: str
    found: set[str] = field(default_factory=set)
    dispatched: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)
    in_doubt: int = 0
    listed: bool = False
    problem: str = ""

    @property
    def acknowledged(self) -> int:
        """Cancels that went out, of orders that the broker says have ended."""
        return len(self.dispatched & self.ended)

    @property
    def unknown(self) -> int:
        """Orders that may still work, for all that is known."""
        return len(self.found - self.ended) + self.in_doubt

    @property
    def is_done(self) -> bool:
        """Whether the broker itself has shown that nothing works there."""
        return self.listed and not self.unknown

    def as_dict(self) -> dict:
        """For the trail and for people."""
        numbers = {"found": len(self.found), "dispatched": len(self.dispatched), "acknowledged": self.acknowledged}
        return numbers | {"unknown": self.unknown, "done": self.is_done, "problem": self.problem}


def set_halts(scopes: Iterable[tuple[str, str]], *, reason: str, actor: str) -> list[Halt]:
    """Halt each scope with level "cancel all", in bounded time whoever else holds the firm's row.

    Raises:
        DatabaseError: it took too long, or there is no database.
        InvalidInput: no reason, or a scope that names nothing.
    """
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
        about = {"level": Level.CANCEL_ALL, "reason": reason, "actor": actor}
        return [halt(scope=scope, scope_key=key, **about) for scope, key in scopes]


def cancel_everything(
    accounts: Iterable[BrokerAccount], *, timeout: float = TIMEOUT, whole_login: bool = False
) -> list[Outcome]:
    """Cancel everything at these brokers, all at once; what became of it after at most `timeout` seconds each.

    `whole_login`: also what only a broker's own cancel of everything reaches, such as orders placed by hand at TWS,
    though it takes other accounts of the login along. What is found and told is the account's own.
    """
    until = time.monotonic() + timeout
    outcomes = [Outcome(account.broker_name, found=_known_to_work(account)) for account in accounts]
    threads = [
        Thread(
            target=_cancel_at, args=(account, outcome, until, whole_login), name=f"emergency-{account.pk}", daemon=True
        )
        for account, outcome in zip(accounts, outcomes, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread, outcome in zip(threads, outcomes, strict=True):
        thread.join(max(until - time.monotonic(), 0))
        if thread.is_alive():
            outcome.problem = f"no end within {timeout:g} s; last: {outcome.problem or 'no answer'}"
    return outcomes


def record(outcomes: Iterable[Outcome], *, reason: str, actor: str) -> None:
    """Write what became of it to the trail."""
    after = {outcome.broker_name: outcome.as_dict() for outcome in outcomes}
    trail.record(trail.event("kill.emergency_cancel", actor=actor, entity="desk", after=after, reason=reason))


def _known_to_work(account: BrokerAccount) -> set[str]:
    """Ids of the orders that the desk knows to work there, in case that the broker cannot list its own."""
    named = Order.objects.open().filter(account=account, broker_order_id__isnull=False)
    return set(named.values_list("broker_order_id", flat=True))


def _cancel_at(account: BrokerAccount, outcome: Outcome, until: float, whole_login: bool) -> None:
    try:
        with beside(account) as adapter:
            _Canceller(adapter, outcome, until, whole_login).run()
    except BrokerError as error:
        outcome.problem = error.text
    except Exception as mistake:
        log.exception("the emergency cancel at %s failed", account.pk)
        outcome.problem = f"{type(mistake).__name__}: {mistake}"
    finally:
        connections.close_all()


class _Canceller:
    """One broker's turn: list, cancel, and look again until nothing works or the time is over."""

    def __init__(self, adapter: BrokerAdapter, outcome: Outcome, until: float, whole_login: bool):
        self._adapter, self._outcome, self._until, self._whole_login = adapter, outcome, until, whole_login
        self._asked_at: dict[str, float] = {}
        self._may_ask_for_all = True

    def run(self) -> None:
        """Go on until the broker shows that nothing works and nothing of the desk's is on its way there."""
        if self._whole_login:
            self._look()
            self._all_at_once(self._outcome.found - self._outcome.ended)  # also where nothing of the account's works
        while True:
            self._look()
            self._outcome.in_doubt = _in_doubt(self._outcome)
            if self._outcome.is_done or time.monotonic() >= self._until:
                return
            self._cancel_what_works()
            time.sleep(min(LOOK_EVERY, max(self._until - time.monotonic(), 0)))

    def _look(self) -> None:
        """See what works: by the broker's list, or order by order where it cannot be had."""
        outcome = self._outcome
        try:
            listed = self._adapter.open_orders()
        except BrokerError as error:
            outcome.listed, outcome.problem = False, f"open orders cannot be listed: {error.text}"
            self._each(outcome.found - outcome.ended, self._look_at)
            return
        working = {report.broker_order_id for report in listed}
        outcome.seen |= {report.client_order_id for report in listed if report.client_order_id}
        outcome.found |= working
        outcome.ended, outcome.listed = outcome.found - working, True

    def _look_at(self, broker_order_id: str) -> None:
        try:
            report = self._adapter.read_order(broker_order_id)
        except BrokerError:
            return
        if report is None or report.status in CLOSED:
            self._outcome.ended.add(broker_order_id)

    def _cancel_what_works(self) -> None:
        now, wanted = time.monotonic(), self._outcome.found - self._outcome.ended
        due = {one for one in wanted if now - self._asked_at.get(one, -ASK_AGAIN_AFTER) >= ASK_AGAIN_AFTER}
        if due and self._may_ask_for_all and self._all_at_once(due):
            return
        self._each(due, self._cancel)

    def _all_at_once(self, due: set[str]) -> bool:
        """Ask for all in one request; False where there is no such request, or the broker did not take it.

        Asked again only for the whole login: what it reaches, nothing else may.
        """
        self._may_ask_for_all = self._whole_login
        try:
            self._adapter.cancel_everything() if self._whole_login else self._adapter.cancel_all()
        except NotSupported:
            self._may_ask_for_all = False
            return False
        except OutcomeUnknown as error:
            self._outcome.problem = error.text
        except BrokerError as error:
            self._outcome.problem = error.text
            return False
        self._note_asked(due)
        return True

    def _cancel(self, broker_order_id: str) -> None:
        request = CancelOrder(f"emergency-{broker_order_id}"[:48], "", broker_order_id)
        try:
            self._adapter.cancel(request)
        except OutcomeUnknown as error:
            self._outcome.problem = error.text
        except BrokerError as error:
            self._outcome.problem = error.text
            return
        self._note_asked({broker_order_id})

    def _note_asked(self, ids: set[str]) -> None:
        self._outcome.dispatched.update(ids)
        self._asked_at |= dict.fromkeys(ids, time.monotonic())

    def _each(self, ids: Iterable[str], work: Callable[[str], None]) -> None:
        """Do something for each id, some at once, no longer than there is time."""
        waiting = deque(sorted(ids))

        def run() -> None:
            while waiting and time.monotonic() < self._until:
                try:
                    work(waiting.popleft())
                except IndexError:
                    return

        threads = [Thread(target=run, daemon=True) for _ in range(min(AT_ONCE, len(waiting)))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(self._until - time.monotonic(), 0))


def _in_doubt(outcome: Outcome) -> int:
    """Orders that the desk has sent there, or is sending, and that nobody has shown yet."""
    sent = OrderRequest.objects.filter(
        broker_name=outcome.broker_name,
        kind=RequestKind.NEW,
        state__in=[RequestState.SENDING, RequestState.UNKNOWN],
        order__broker_order_id=None,
    )
    return sent.exclude(client_order_id__in=outcome.seen).count()
