"""One run of the matrix: orders and changes while everything fails, then quiet, then the comparison."""

import contextlib
import itertools
import random
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from decimal import Decimal

from django.db import connection

from brokers.models import AccountHealth, BrokerAccount
from orders import sending, sync
from orders.models import Order, OrderRequest, ReconciliationBreak
from tests.brokers.sandbox_process import SandboxProcess
from tests.faults import books, verdict
from tests.faults.accounts import ACCOUNTS, MAX_ORDER_QTY
from tests.faults.catalogue import AMENDMENTS, DEEDS
from tests.faults.killing import Killer
from tests.faults.linked import with_exits
from tests.faults.plan import Plan, Step
from tests.faults.running import FaultyDesk
from tests.faults.traders import DENIED, TAKEN, Traders
from tests.faults.venue import Mids, Venue
from tests.flows.order_flow import orders as order_bodies
from tradingdesk.audit.models import AuditEvent

ANSWERED_S = 180.0
TOO_OLD_S = 120.0
SETTLE_S = 240.0
LATE_S = 30.0
QUIET_S = 15.0
BREATH_S = 12.0
LOOK_EVERY_S = 1.0
SHOWN = 30
CENT = Decimal("0.01")


class Matrix:
    """A desk beside a venue, and what the plan does to both."""

    def __init__(self, plan: Plan, desk: FaultyDesk, sandbox: SandboxProcess, streaming: set[str]):
        self.plan, self.desk = plan, desk
        self.chance = random.Random(f"{plan.seed}:steps")
        self.venue = Venue(sandbox, random.Random(f"{plan.seed}:venue"), streaming=streaming)
        self.killer = Killer(desk, self.venue, random.Random(f"{plan.seed}:killer"))
        self.traders = Traders(desk)
        self.mids = Mids()
        self.deeds = (*DEEDS, *AMENDMENTS) if streaming else DEEDS
        self.too_old: list[str] = []
        self.took: dict[str, int] = {}
        self.settled_late: list[str] = []

    def run(self) -> list[str]:
        """Do all that the plan says, let the desk come to rest, and give what is wrong."""
        names = [account.name for account in ACCOUNTS]
        began = time.monotonic()
        self.mids.walk(self.chance)
        self.venue.show(self.mids)
        self._place_what_gets_too_old()
        bodies = with_exits(order_bodies(self.plan.seed, self.plan.orders, self.mids, names), self.mids)
        for step in self.plan.steps():
            self._do(step, list(itertools.islice(bodies, step.orders)))
        self.took["trading"] = round(time.monotonic() - began)
        problems = self._settle()
        self.traders.close()
        problems += self._when_quiet()
        problems += [f"{name} did not end on SIGTERM" for name in self.desk.stop()]
        return problems + self._afterwards()

    def counts(self) -> dict[str, object]:
        """What was done and what came of it."""
        there = self.venue.records()
        breaks = ReconciliationBreak.objects.values_list("kind", "resolution")
        linked = Order.objects.exclude(order_class="simple").exclude(status="denied")
        denials = Order.objects.exclude(denials=[]).values_list("denials", flat=True)
        return {
            "kills": dict(sorted(self.killer.done.items())),
            "faults of requests": dict(sorted(self.venue.hits().items())),
            "deeds and stream faults": dict(sorted(self.venue.done.items())),
            "clients": {
                "taken": len(self.traders.of(*TAKEN)),
                "denied": len(self.traders.of(DENIED)),
                "sent again": self.traders.sent_again,
                **self.traders.changes,
            },
            "breaks": Counter(f"{kind} {how or 'open'}" for kind, how in breaks),
            "seconds": self.took,
            "settled late": self.settled_late,
            "linked": Counter(f"{one.order_class} {one.leg_role} {one.status}" for one in linked),
            "denials": Counter(one[0]["code"] for one in denials),
            "compared": verdict.counts(books.read_books(), there),
        }

    # The run

    def _place_what_gets_too_old(self) -> None:
        """Market orders that the broker puts off until their time is over: an outage must not fire old orders."""
        for account in ACCOUNTS:
            name = f"too-old-{self.plan.seed}-{account.name}"
            self.too_old.append(name)
            self.venue.refuse_always(name)
        bodies = [
            {"client_order_id": name, "symbol": "IBM", "side": "buy", "order_qty": "1", "broker_name": account.name}
            for name, account in zip(self.too_old, ACCOUNTS, strict=True)
        ]
        self._answered(self.traders.place(bodies))

    def _do(self, step: Step, bodies: list[dict]) -> None:
        self._breathe(step.orders)
        self.mids.walk(self.chance)
        self.venue.show(self.mids)
        self.venue.order_faults(step.faults)
        if step.kill is not None and step.kill.part == "venue":
            self._wait_for_the_too_old()  # the venue forgets what it was told to refuse
        changes = list(self._changes(step))

        def work() -> list[Future]:
            return [*(self.traders.change(*one) for one in changes), *self.traders.place(bodies)]

        futures = work() if step.kill is None else self.killer.during(work, step.kill)
        for _ in range(step.deeds):
            self.venue.do(self.chance.choice(self.deeds))
        self._answered(futures)
        self.killer.release()

    def _breathe(self, orders: int) -> None:
        """Let a killed worker do most of its work and breakers close, so that there is something to disturb."""
        waiting, down = OrderRequest.objects.unanswered(), AccountHealth.objects.filter(healthy=False)
        with contextlib.suppress(AssertionError):
            self.desk.eventually(
                lambda: waiting.count() <= orders // 2 and not down.exists(), "the desk goes on", BREATH_S
            )

    def _changes(self, step: Step) -> Iterator[tuple[str, dict[str, str] | None]]:
        """Cancels and replaces of working orders; a kill at one of them gets only that. Linked ones are cancelled."""
        working = Order.objects.filter(status__in=("new", "partially_filled"), order_qty__isnull=False, notional=None)
        working = list(working.exclude(source=Order.Source.EXTERNAL).order_by("client_order_id"))
        wanted = step.kill.operation if step.kill is not None else ""
        if wanted == "replace_order":
            working = [order for order in working if not order.is_linked]
        for order in self.chance.sample(working, min(step.changes, len(working))):
            cancels = wanted == "cancel_order" or (wanted != "replace_order" and self.chance.random() < 0.5)
            cancels = cancels or order.is_linked
            yield order.client_order_id, None if cancels else _other_terms(order)

    def _answered(self, futures: list[Future]) -> None:
        self.desk.eventually(lambda: all(one.done() for one in futures), "all clients are answered", ANSWERED_S)
        for one in futures:
            one.result()

    # The end

    def _wait_for_the_too_old(self) -> None:
        waiting = Order.objects.filter(client_order_id__in=self.too_old).exclude(closed_as="expired")
        self.desk.eventually(lambda: not waiting.exists(), "what got too old is closed", TOO_OLD_S)

    def _settle(self) -> list[str]:
        """No more faults; wait until desk and venue agree, and give what they still differ in."""
        began = time.monotonic()
        self._wait_for_the_too_old()
        self.took["waiting for the too old"] = round(time.monotonic() - began)
        self.venue.admin.clear()
        began = time.monotonic()
        deadline = began + SETTLE_S
        while problems := [*books.in_doubt(), *self._disagreements()]:
            if time.monotonic() > deadline:
                break
            if time.monotonic() - began > LATE_S:
                self.settled_late = problems[:SHOWN]
            self.desk.tend()
            time.sleep(LOOK_EVERY_S)
        self.took["settling"] = round(time.monotonic() - began)
        return problems

    def _disagreements(self) -> list[str]:
        return list(verdict.disagreements(books.read_books(), self.venue.records()))

    def _when_quiet(self) -> list[str]:
        """What must hold while the desk still runs, with nothing to do."""
        deadline = time.monotonic() + QUIET_S
        while (problems := books.open_transactions()) and time.monotonic() < deadline:
            time.sleep(LOOK_EVERY_S)
        return problems + list(books.over_portfolio_limit(Decimal(self.plan.portfolio_risk_limit)))

    def _afterwards(self) -> list[str]:
        """What must hold of the books once the desk has ended."""
        return [
            *books.broken_rules(Decimal(MAX_ORDER_QTY)),
            *self._promises(),
            *self._never_sent(),
            *self._replayed(),
        ]

    def _promises(self) -> Iterator[str]:
        """What clients were told is so."""
        statuses = dict(Order.objects.values_list("client_order_id", "status"))
        for name in sorted(self.traders.of(*TAKEN)):
            if statuses.get(name, "denied") == "denied":
                yield f"{name} was taken, and is {statuses.get(name, 'lost')}"
        for name in sorted(self.traders.of(DENIED)):
            if statuses.get(name) != "denied":
                yield f"{name} was denied, and is {statuses.get(name, 'lost')}"
        if len(self.traders.answers) != self.plan.orders + len(self.too_old):
            yield f"{len(self.traders.answers)} orders were answered of {self.plan.orders + len(self.too_old)}"

    def _never_sent(self) -> Iterator[str]:
        """Market orders that an outage outlived are closed here, and were never at the broker."""
        at_venue = {raw["client_order_id"] for record in self.venue.records().values() for raw in record["orders"]}
        for order in Order.objects.filter(client_order_id__in=self.too_old):
            if order.status != "expired" or not order.text.startswith(sending.NEVER_SENT_TOO_OLD):
                yield f"{order} outlived an outage and is {order.status}: {order.text}"
            if order.client_order_id in at_venue:
                yield f"{order} was too old, and is at the venue"

    def _replayed(self) -> list[str]:
        """Hear everything again: nothing may change, and both still agree."""
        self._replay()
        before, events = books.fingerprint(), AuditEvent.objects.latest("id").pk
        self._replay()
        after = books.fingerprint()
        changed = [name for name in after if before[name] != after[name]]
        changed = [f"replaying changed {name}: {before[name]} -> {after[name]}" for name in changed]
        told = AuditEvent.objects.filter(pk__gt=events).exclude(kind=books.BROKER_IS_BACK)
        changed += [f"replaying told {one.kind} of {one.entity_key}: {one.after}" for one in told]
        return [*changed[:SHOWN], *self._disagreements()]

    def _replay(self) -> None:
        for account in ACCOUNTS:
            BrokerAccount.objects.filter(pk=account.name).update(executions_cursor="")
            sync.sync_account(account.name, thorough=True)
        for pk in OrderRequest.objects.values_list("pk", flat=True):
            sending.send_request(pk)
        connection.close()


def _other_terms(order: Order) -> dict[str, str]:
    """Other terms for a working order: a price a cent nearer where it has one, else one more share."""
    if order.ord_type == "limit":
        return {"price": f"{order.price + (CENT if order.side == 'buy' else -CENT):f}"}
    return {"order_qty": f"{order.order_qty + 1:f}"}
