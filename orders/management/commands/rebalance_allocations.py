"""Bring the book back over the brokers: look, propose, decide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from orders.models import RebalancePlan
from orders.rebalancing import plans
from tradingdesk.audit.people import operator
from tradingdesk.errors import DeskError, InvalidInput
from tradingdesk.fields import plain

USAGE = 2
DECISIONS = {"approve": plans.approve, "reject": plans.reject, "stop": plans.stop}


class Command(BaseCommand):
    help = (
        "Show the orders that would bring every account within its limits and its share, with their costs, and what "
        "cannot be done. --propose stores them as a plan, which somebody else approves (here, in the back office or "
        "by the API). Exit 0: done, 1: refused, 2: wrong usage."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--dry-run", action="store_true", help="only look; the same as no option")
        what.add_argument("--propose", action="store_true", help="store the plan, to be approved by somebody else")
        what.add_argument("--list", action="store_true", help="plans that are open")
        what.add_argument("--show", metavar="PLAN", type=int, help="one plan with its orders")
        what.add_argument("--approve", metavar="PLAN", type=int, help="have a plan's orders placed")
        what.add_argument("--reject", metavar="PLAN", type=int, help="end a proposed plan")
        what.add_argument(
            "--stop", metavar="PLAN", type=int, help="place no further order of a plan, cancel the others"
        )
        parser.add_argument("--reason", metavar="TEXT", default="", help="why; needed for everything but looking")

    def handle(self, *args: Any, reason: str, **options: Any) -> None:
        try:
            self._do(reason, options)
        except InvalidInput as error:
            raise CommandError(f"--{error.field}: {error}", returncode=USAGE) from error
        except DeskError as error:
            raise CommandError(str(error)) from error

    def _do(self, reason: str, options: Mapping[str, Any]) -> None:
        word = next((name for name in DECISIONS if options[name] is not None), "")
        if word:
            plan = DECISIONS[word](plan=_plan(options[word]), actor=operator(), reason=reason)
            self.stdout.write(f"{plan}: {plan.state}")
        elif options["list"]:
            self._list()
        elif options["show"] is not None:
            self._show(_plan(options["show"]))
        elif options["propose"]:
            self._show(plans.propose(actor=operator(), reason=reason))
        else:
            self._preview()

    def _preview(self) -> None:
        found = plans.preview()
        self._write(found.legs, found.accounts, [problem.as_dict() for problem in found.problems])
        cost = f"turnover {plain(found.turnover)}, cost {plain(found.cost)}; " if found.legs else ""
        self.stdout.write(f"{cost}nothing was stored; --propose --reason TEXT stores it as a plan")

    def _list(self) -> None:
        for plan in RebalancePlan.objects.filter(state__in=RebalancePlan.OPEN).order_by("id"):
            self.stdout.write(f"{plan}: {plan.state}, cost {plain(plan.cost)}, by {plan.proposed_by}: {plan.reason}")

    def _show(self, plan: RebalancePlan) -> None:
        self.stdout.write(f"{plan}: {plan.state}, proposed by {plan.proposed_by}: {plan.reason}")
        self._write(plan.legs.all(), plan.accounts, plan.problems)
        said = f"; {plan.text}" if plan.text else ""
        self.stdout.write(f"turnover {plain(plan.turnover)}, cost {plain(plan.cost)}{said}")

    def _write(self, legs: Iterable, accounts: Iterable[Mapping], problems: Iterable[Mapping]) -> None:
        for row in accounts:
            share = f"share {row['share_before']} -> {row['share_after']}"
            self.stdout.write(f"{row['broker_name']}: {share}, max {row['limit'] or 'not set'}")
        for leg in legs:
            where = leg.account_id if hasattr(leg, "account_id") else leg.broker_name
            shares = f"share {plain(leg.share_before)} -> {plain(leg.share_after)}"
            state = f", {leg.state} {plain(leg.cum_qty)}" if hasattr(leg, "state") else ""
            order = f"{leg.side} {plain(leg.order_qty)} {leg.symbol} at {where}"
            self.stdout.write(f"  {leg.number}. {order}, cost {plain(leg.cost)}, {shares}{state}")
        for problem in problems:
            self.stdout.write(f"  {problem['code']}: {problem['detail']}")


def _plan(number: int) -> RebalancePlan:
    plan = RebalancePlan.objects.filter(pk=number).first()
    if plan is None:
        raise CommandError(f"there is no plan {number}; --list shows those that are open", returncode=USAGE)
    return plan
