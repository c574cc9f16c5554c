"""Run by the environment that has ib_insync: an order's life at a scripted TWS, through the same adapter."""

import json
import sys
from decimal import Decimal

import django
from django.conf import settings

from tradingdesk.fix import ExecType

if __name__ == "__main__":
    settings.configure(USE_TZ=True)
    django.setup()

    from brokers.adapters.interactive_brokers import library
    from tests.brokers import tws_messages as tws
    from tests.brokers.ib_desk import PERM_ID, cancel, desk, replacement

    exec_id = "00025b46.63f8f39c.01.01"
    with desk() as made:
        made.tws.on(
            tws.CANCEL_ORDER,
            lambda line, fields: line.send(tws.order_status(fields[2], "Cancelled", perm_id=PERM_ID + 7, filled=4)),
        )
        report = made.submit()
        changed = made.adapter.replace(replacement(report.broker_order_id, price=Decimal("14.5")))
        made.tws.say(
            tws.execution(exec_id, order_id=7, perm_id=PERM_ID + 7, shares=4, price="13.2", order_ref="c-1"),
            tws.commission(exec_id, "0.35"),
        )
        trade = made.wait_for(ExecType.TRADE)
        made.adapter.cancel(cancel(report.broker_order_id))
        made.wait_for(ExecType.CANCELED)
        missing = made.adapter.find_order("nobody's")
        made.tws.hang_up()
        made.heard.wait_until(lambda: made.heard.connections == 2)
        found = {
            "library": library.NAME,
            "told": [kind for kind, _ in made.told()],
            "price": str(changed.price),
            "trade": [str(trade.last_qty), str(trade.last_px), str(trade.commission)],
            "missing": missing,
        }
    json.dump(found, sys.stdout)
