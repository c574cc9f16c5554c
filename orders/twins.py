"""One trade told under two ids.

A broker may tell its trades in two ways whose ids nothing ties together: Alpaca's stream has execution ids, its list
of activities ids of its own. Such reports name their `source`, and a trade is known by what it did as well: the
broker's order, the broker's cumulative quantity after it, and either its quantity and price or, as one of the two
tellings may be of before a correction and the other of after it, its time. Each stored trade is the twin of one report
at most, so two trades that look alike stay two.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta

from brokers.messages import ExecutionReport
from orders.models import Execution
from tradingdesk.fix import ExecType

SAME_TIME = timedelta(milliseconds=1)


def twin_of(report: ExecutionReport, executions: Collection[Execution], names: Mapping[str, str]) -> Execution | None:
    """Find the stored trade that a report tells again under another id.

    `executions` are those of its order, `names` the other ids told so far and the stored ids they mean. A trade that
    was busted is meant only by a report of what happened before the bust; one that was corrected, by either figures.
    """
    if report.cum_qty is None:
        return None
    taken = set(names.values())
    trades = (one for one in executions if one.exec_type == ExecType.TRADE and one.exec_id not in taken)
    return next((trade for trade in trades if _tells(report, trade, _amendments(trade, executions))), None)


def _tells(report: ExecutionReport, trade: Execution, amendments: Iterable[Execution]) -> bool:
    figures, ended = {(trade.last_qty, trade.last_px)}, False
    for one in amendments:
        if one.exec_type == ExecType.TRADE_CORRECT:
            figures.add((one.last_qty, one.last_px))
        else:
            ended = ended or report.transact_time >= one.transact_time
    same_place = (report.broker_order_id, report.cum_qty) == (trade.broker_order_id, trade.cum_qty)
    same_time = abs(report.transact_time - trade.transact_time) < SAME_TIME
    return same_place and not ended and (same_time or (report.last_qty, report.last_px) in figures)


def _amendments(trade: Execution, executions: Collection[Execution]) -> list[Execution]:
    """Busts and corrections of a trade, and those of its corrections."""
    family, found = {trade.exec_id}, []
    while more := [one for one in executions if one.exec_ref_id in family and one not in found]:
        found += more
        family.update(one.exec_id for one in more)
    return found
