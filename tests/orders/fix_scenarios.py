"""Further matrices of FIX's appendix on order state changes, in the oracle file's form.

Facts re-expressed as data; the words are ours. Sources: the 4.2 and 4.3 appendix D at onixs.biz, by page.
"""


def _new(clord="X", order_qty=10000) -> dict:
    return {"dir": "in", "msg": "NewOrder", "clord": clord, "order_qty": order_qty}


def _ask(msg: str, clord: str, orig: str, order_qty=10000) -> dict:
    return {"dir": "in", "msg": msg, "clord": clord, "orig": orig, "order_qty": order_qty}


def _report(clord, exec_type, ord_status, order_qty, cum_qty, leaves_qty, last_qty=0, **more) -> dict:
    numbers = {"order_qty": order_qty, "cum_qty": cum_qty, "leaves_qty": leaves_qty, "last_qty": last_qty}
    words = {"clord": clord, "exec_type": exec_type, "ord_status": ord_status}
    return {"dir": "out", "msg": "ExecutionReport", **words, **numbers, **more}


def _reject(clord: str, orig: str, ord_status: str) -> dict:
    return {"dir": "out", "msg": "CancelReject", "clord": clord, "orig": orig, "ord_status": ord_status}


_TAKEN = [_new(), _report("X", "New", "New", 10000, 0, 10000)]
_PART_FILLED = [*_TAKEN, _report("X", "Trade", "PartiallyFilled", 10000, 1000, 9000, 1000)]

MORE_SCENARIOS = {
    "A.1.a": {
        "title": "filled order",
        "rows": [
            *_TAKEN,
            _report("X", "Trade", "PartiallyFilled", 10000, 2000, 8000, 2000),
            _report("X", "Trade", "PartiallyFilled", 10000, 3000, 7000, 1000),
            _report("X", "Trade", "Filled", 10000, 10000, 0, 7000),
        ],
    },
    "B.1.c": {
        "title": "cancel request for an order that becomes filled before it can be cancelled",
        "rows": [
            *_PART_FILLED,
            _ask("CancelRequest", "Y", "X"),
            _report("X", "Trade", "PartiallyFilled", 10000, 5000, 5000, 4000),
            _report("Y", "PendingCancel", "PendingCancel", 10000, 5000, 5000, orig="X"),
            _report("X", "Trade", "PendingCancel", 10000, 10000, 0, 5000),
            _reject("Y", "X", "Filled"),
        ],
    },
    "B.1.d": {
        "title": "cancel request for an order that is not acknowledged yet",
        "rows": [
            _new(),
            _ask("CancelRequest", "Y", "X"),
            _report("Y", "PendingCancel", "PendingCancel", 10000, 0, 10000, orig="X"),
            _report("X", "New", "PendingCancel", 10000, 0, 10000),
            _report("Y", "Canceled", "Canceled", 10000, 0, 0, orig="X"),
        ],
    },
    "B.1.f": {
        "title": "cancel request for an unknown order (4.3 app_d7a)",
        "rows": [_ask("CancelRequest", "Y", "X"), _reject("Y", "X", "Rejected")],
    },
    "B.1.f-ours": {
        "title": "cancel request for an order of ours that the broker does not know: it may still come to know it",
        "rows": [_new(), _ask("CancelRequest", "Y", "X"), {**_reject("Y", "X", "Rejected"), "ours": "PendingNew"}],
    },
    "C.1.a": {
        "title": "zero-filled order, replace to increase the quantity",
        "rows": [
            *_TAKEN,
            _ask("ReplaceRequest", "Y", "X", 11000),
            _report("Y", "PendingReplace", "PendingReplace", 10000, 0, 10000, orig="X"),
            _report("Y", "Replaced", "New", 11000, 0, 11000, orig="X"),
            _report("Y", "Trade", "PartiallyFilled", 11000, 1000, 10000, 1000),
            _report("Y", "Trade", "PartiallyFilled", 11000, 3000, 8000, 2000),
        ],
    },
    "C.1.c": {
        "title": "filled order, replace to increase the quantity",
        "rows": [
            *_TAKEN,
            _report("X", "Trade", "Filled", 10000, 10000, 0, 10000),
            _ask("ReplaceRequest", "Y", "X", 12000),
            _report("Y", "PendingReplace", "PendingReplace", 10000, 10000, 0, orig="X"),
            _report("Y", "Replaced", "PartiallyFilled", 12000, 10000, 2000, orig="X"),
            _report("Y", "Trade", "Filled", 12000, 12000, 0, 2000),
        ],
    },
    "C.3.a": {
        "title": "replace to decrease while executions are reported, above what traded (4.2 app_d10)",
        "rows": [
            *_PART_FILLED,
            _ask("ReplaceRequest", "Y", "X", 8000),
            _report("X", "Trade", "PartiallyFilled", 10000, 1500, 8500, 500),
            _report("Y", "PendingReplace", "PendingReplace", 10000, 1500, 8500, orig="X"),
            _report("X", "Trade", "PendingReplace", 10000, 1600, 8400, 100),
            _report("Y", "Replaced", "PartiallyFilled", 8000, 1600, 6400, orig="X"),
            _report("Y", "Trade", "Filled", 8000, 8000, 0, 6400),
        ],
    },
    "C.3.c": {
        "title": "replace to decrease below what traded; amended to it",
        "rows": [
            *_TAKEN,
            _ask("ReplaceRequest", "Y", "X", 7000),
            _report("X", "Trade", "PartiallyFilled", 10000, 8000, 2000, 8000),
            _report("Y", "Replaced", "Filled", 8000, 8000, 0, orig="X"),
        ],
    },
    "D.1.b": {
        "title": "a replace rejected before it is pending, then another accepted (4.3 app_d16)",
        "rows": [
            *_PART_FILLED,
            _ask("ReplaceRequest", "Y", "X", 8000),
            _reject("Y", "X", "PartiallyFilled"),
            _report("X", "Trade", "PartiallyFilled", 10000, 1500, 8500, 500),
            _report("X", "Trade", "PartiallyFilled", 10000, 3500, 6500, 2000),
            _ask("ReplaceRequest", "Z", "X", 6000),
            _report("Z", "PendingReplace", "PendingReplace", 10000, 3500, 6500, orig="X"),
            _report("Z", "Replaced", "PartiallyFilled", 6000, 3500, 2500, orig="X"),
            _report("Z", "Trade", "PartiallyFilled", 6000, 5000, 1000, 1500),
        ],
    },
    "D.1.c": {
        "title": "a replace rejected after it was pending, then another accepted",
        "rows": [
            *_PART_FILLED,
            _ask("ReplaceRequest", "Y", "X", 8000),
            _report("Y", "PendingReplace", "PendingReplace", 10000, 1000, 9000, orig="X"),
            _report("X", "Trade", "PendingReplace", 10000, 1500, 8500, 500),
            _reject("Y", "X", "PartiallyFilled"),
            _report("X", "Trade", "PartiallyFilled", 10000, 3500, 6500, 2000),
            _ask("ReplaceRequest", "Z", "X", 6000),
            _report("Z", "PendingReplace", "PendingReplace", 10000, 3500, 6500, orig="X"),
            _report("Z", "Replaced", "PartiallyFilled", 6000, 3500, 2500, orig="X"),
            _report("Z", "Trade", "PartiallyFilled", 6000, 5000, 1000, 1500),
        ],
    },
    "D.2.b": {
        "title": "two replaces at once, both pending before either is done",
        "rows": [
            *_PART_FILLED,
            _ask("ReplaceRequest", "Y", "X", 8000),
            _ask("ReplaceRequest", "Z", "Y", 7000),
            _report("Y", "PendingReplace", "PendingReplace", 10000, 1000, 9000, orig="X"),
            _report("X", "Trade", "PendingReplace", 10000, 1500, 8500, 500),
            _report("Z", "PendingReplace", "PendingReplace", 10000, 1500, 8500, orig="Y"),
            _report("X", "Trade", "PendingReplace", 10000, 1600, 8400, 100),
            _report("Y", "Replaced", "PendingReplace", 8000, 1600, 6400, orig="X"),
            _report("Z", "Replaced", "PartiallyFilled", 7000, 1600, 5400, orig="Y"),
            _report("Z", "Trade", "PartiallyFilled", 7000, 2600, 4400, 1000),
        ],
    },
    "D.2.c": {
        "title": "two replaces at once, the second rejected as one is pending (4.3 app_d21)",
        "rows": [
            *_PART_FILLED,
            _ask("ReplaceRequest", "Y", "X", 8000),
            _ask("ReplaceRequest", "Z", "Y", 7000),
            _report("Y", "PendingReplace", "PendingReplace", 10000, 1000, 9000, orig="X"),
            _reject("Z", "X", "PendingReplace"),
            _report("Y", "Replaced", "PartiallyFilled", 8000, 1000, 7000, orig="X"),
            _report("Y", "Trade", "PartiallyFilled", 8000, 3000, 5000, 2000),
        ],
    },
    "E.1.a": {
        "title": "unsolicited change of a part-filled order's quantity (4.2 app_d20)",
        "rows": [
            *_TAKEN,
            _report("X", "Restated", "New", 11000, 0, 11000),
            _report("X", "Trade", "PartiallyFilled", 11000, 1000, 10000, 1000),
            _report("X", "Restated", "PartiallyFilled", 12000, 1000, 11000),
        ],
    },
    "H.1.c": {
        "title": "GTC order partially filled, restated and cancelled the next day (4.2 app_d29)",
        "rows": [
            *_TAKEN,
            _report("X", "Trade", "PartiallyFilled", 10000, 2000, 8000, 2000),
            _report("X", "DoneForDay", "DoneForDay", 10000, 2000, 8000),
            _report("X", "Restated", "PartiallyFilled", 10000, 2000, 8000),
            _ask("CancelRequest", "Y", "X"),
            _report("Y", "PendingCancel", "PendingCancel", 10000, 2000, 8000, orig="X"),
            _report("Y", "Canceled", "Canceled", 10000, 2000, 0, orig="X"),
        ],
    },
    "H.1.d": {
        "title": "GTC order partially filled, restated and replaced the next day (4.2 app_d30)",
        "rows": [
            *_TAKEN,
            _report("X", "Trade", "PartiallyFilled", 10000, 2000, 8000, 2000),
            _report("X", "DoneForDay", "DoneForDay", 10000, 2000, 8000),
            _report("X", "Restated", "PartiallyFilled", 10000, 2000, 8000),
            _ask("ReplaceRequest", "Y", "X", 15000),
            _report("Y", "PendingReplace", "PendingReplace", 10000, 2000, 8000, orig="X"),
            _report("X", "Trade", "PendingReplace", 10000, 3000, 7000, 1000),
            _report("Y", "Replaced", "PartiallyFilled", 15000, 3000, 12000, orig="X"),
        ],
    },
    "I.1.a": {
        "title": "IOC order that trades in part; the rest is cancelled",
        "rows": [
            *_TAKEN,
            _report("X", "Trade", "PartiallyFilled", 10000, 1000, 9000, 1000),
            _report("X", "Canceled", "Canceled", 10000, 1000, 0),
        ],
    },
    "I.1.b": {
        "title": "FOK order that cannot be filled",
        "rows": [*_TAKEN, _report("X", "Canceled", "Canceled", 10000, 0, 0)],
    },
    "J.1.b": {
        "title": "cancelled order, then a busted execution and a new one (4.2 app_d35)",
        "rows": [
            *_TAKEN,
            _report("X", "Trade", "PartiallyFilled", 10000, 5000, 5000, 5000, exec_id="B", last_px=50, avg_px=50),
            _ask("CancelRequest", "Y", "X"),
            _report("Y", "PendingCancel", "PendingCancel", 10000, 5000, 5000, orig="X"),
            _report("Y", "Canceled", "Canceled", 10000, 5000, 0, orig="X"),
            _report("Y", "TradeCancel", "Canceled", 10000, 0, 0, exec_id="E", exec_ref="B"),
            _report("Y", "Trade", "Canceled", 10000, 4000, 0, 4000, exec_id="F", last_px=51, avg_px=51),
        ],
    },
    "J.1.c": {
        "title": "GTC order, both days' executions corrected (4.2 app_d36)",
        "rows": [
            *_TAKEN,
            _report("X", "Trade", "PartiallyFilled", 10000, 2000, 8000, 2000, exec_id="B"),
            _report("X", "DoneForDay", "DoneForDay", 10000, 2000, 8000),
            _report("X", "Restated", "PartiallyFilled", 10000, 2000, 8000),
            _report("X", "Trade", "PartiallyFilled", 10000, 3000, 7000, 1000, exec_id="E"),
            _report("X", "TradeCorrect", "PartiallyFilled", 10000, 2500, 7500, 1500, exec_id="F", exec_ref="B"),
            _report("X", "TradeCorrect", "PartiallyFilled", 10000, 2000, 8000, 500, exec_id="G", exec_ref="E"),
        ],
    },
    "K.1.a": {
        "title": "trading is halted and the order suspended, then it works again",
        "rows": [
            *_PART_FILLED,
            _report("X", "Suspended", "Suspended", 10000, 1000, 9000),
            _report("X", "Restated", "PartiallyFilled", 10000, 1000, 9000),
            _report("X", "Trade", "Filled", 10000, 10000, 0, 9000),
        ],
    },
}
