"""Reading orders and executions so that "none" is a proof: every part of the answer was complete, or it is unknown."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from brokers.messages import LATE_COMMISSION, ExecutionReport, OutcomeUnknown
from tradingdesk.fix import ExecType

from .parsing import completed_report, from_executions
from .session import Session
from .tracker import OrderTracker

OVERLAP = timedelta(minutes=2)
Matches = Callable[[ExecutionReport], bool]


async def open_orders(session: Session, tracker: OrderTracker) -> list[ExecutionReport]:
    """Every working order of the account."""
    return [known.report() for known in tracker.as_they_stand(await session.open_orders())]


async def executions(
    session: Session, tracker: OrderTracker, *, after: datetime | None = None, after_id: str = ""
) -> list[ExecutionReport]:
    """The account's executions of the broker's day, oldest first, from well before `after` or that execution on.

    IB's times are of its own clock and cut to the second. What changes an execution may bear that one's time. The
    first time, whatever its id, all are given: one may have been told without its commission by a process that ended.
    """
    last, is_first = after_id.removesuffix(LATE_COMMISSION), not tracker.trades.has_given
    found = tracker.trades.read(await session.executions())
    when = after or next((one.transact_time for one in found if one.exec_id == last and not is_first), None)
    since = when and when - OVERLAP
    wanted = [one for one in found if not since or one.exec_type != ExecType.TRADE or one.transact_time >= since]
    return tracker.trades.give(wanted)


async def find_order(session: Session, tracker: OrderTracker, client_order_id: str) -> ExecutionReport | None:
    """The order that carries this label; None when no order of the account ever seen today does."""
    seen = await session.open_orders()
    if any(not message.order.permId and message.order.orderRef == client_order_id for message in seen):
        raise OutcomeUnknown(f"TWS has {client_order_id}, but IB has not taken it yet")
    return await _found(session, tracker, lambda report: report.client_order_id == client_order_id, listed=seen)


async def read_order(session: Session, tracker: OrderTracker, perm_id: str) -> ExecutionReport | None:
    """The order with this permId; None when no order of the account ever seen today has it."""
    seen = await session.open_orders()
    return await _found(session, tracker, lambda report: report.broker_order_id == perm_id, listed=seen)


async def _found(session: Session, tracker: OrderTracker, matches: Matches, *, listed: list) -> ExecutionReport | None:
    """Look among open orders, then completed ones, then executions: an order only ever moves that way."""
    for known in tracker.as_they_stand(listed):
        if matches(report := known.report()):
            return report
    zone, account_id = session.settings.timezone, session.settings.account_id
    completed = await session.completed_orders()
    mine = (done for done in completed if done.order.account in ("", account_id))
    done = [report for report in (completed_report(one, zone) for one in mine) if matches(report)]
    trades = [report for report in tracker.trades.read(await session.executions()) if matches(report)]
    return _with_trades(done[-1], trades) if done else from_executions(trades)


def _with_trades(done: ExecutionReport, trades: list[ExecutionReport]) -> ExecutionReport:
    """Add to a completed order what only its executions tell: the average price, and the last cumulated quantity."""
    traded = from_executions(trades)
    if traded is None:
        return done
    values = {name: getattr(done, name) for name in done.__dataclass_fields__}
    cum_qty = max(done.cum_qty or 0, traded.cum_qty or 0)
    return ExecutionReport(**values | {"cum_qty": cum_qty, "avg_px": traded.avg_px})
