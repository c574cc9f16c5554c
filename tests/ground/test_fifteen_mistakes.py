"""Fifteen kinds of mistakes in one file are fifteen errors at once: line, key, what was found, what is allowed."""

import pytest
from django.core.management import CommandError, call_command

from brokers.models import BrokerAccount
from risk.models import Limit
from tradingdesk.audit.models import AuditEvent
from tradingdesk.config.models import ConfigurationRecord
from tradingdesk.config.record import load
from tradingdesk.schedule.rows import rows

pytestmark = pytest.mark.django_db

BROKEN = """\
brokers:
  alpaca:
    allocation_percent: 0.6
    api_key: "${NO_SUCH_KEY}"
    secret_key: abc-of-the-file
  alpaca_margin:
    adapter: alpacca
    allocation_percent: 0.2
  spare:
    adapter: alpaca
    allocation_percent: 0.1
    api_key: "${ALPACA_API_KEY}"
    secret_key: "${ALPACA_SECRET_KEY}"
    base_url: nowhere
    colour: blue
risks:
  max_order_qty: 1
risk:
  max_order_quantity: 100
  max_order_qty: -1
  max_broker_allocation: 80
  min_broker_diversification: 1.5
  restricted_symbols: XYZ
schedule:
  tick:
    task: orders.tasks.sweep
    every: 0
    enabled: "no"
  open:
    task: orders.tasks.sweep
    crontab: "61 9 * * *"
"""
TOLD = [
    "1: brokers: allocation_percent of all accounts, disabled ones too, adds up to 0.9, expected 1",
    "4: brokers.alpaca.api_key: set NO_SUCH_KEY in the environment, or NO_SUCH_KEY_FILE to a file that holds it",
    '5: brokers.alpaca.secret_key: expected a reference such as "${SECRET_KEY}": secrets stay out of the file',
    "7: brokers.alpaca_margin.adapter: found 'alpacca', expected one of alpaca",
    "14: brokers.spare.base_url: give a URL such as https://host",
    "15: brokers.spare.colour: not a setting of alpaca; use one of api_key",
    "16: risks: unknown key; known are brokers, database, risk, rebalancing, halt_triggers, schedule",
    "19: risk.max_order_quantity: unknown key; known are max_order_qty",
    "20: risk.max_order_qty: found -1, expected a number of 0 or more",
    "21: risk.max_broker_allocation: found 80, expected a number from 0 to 1",
    "22: risk.min_broker_diversification: found 1.5, expected a whole number of 0 or more",
    "23: risk.restricted_symbols: found 'XYZ', expected a list",
    "27: schedule.tick.every: found 0, expected a whole number of seconds, 1 or more",
    "28: schedule.tick.enabled: found 'no', expected true or false",
    "31: schedule.open.crontab: found '61 9 * * *', expected a crontab such as",
]


def everything() -> list:
    """All that a load writes."""
    tables = (ConfigurationRecord, BrokerAccount, Limit, AuditEvent)
    return [*(list(table.objects.order_by("pk").values()) for table in tables), rows()]


def test_every_mistake_is_told_at_once_and_the_configuration_in_force_stays(file):
    assert len(TOLD) == 15
    load(file, actor="ann")
    before = everything()
    file.write(BROKEN)
    for option in ([], ["--dry-run"]):
        with pytest.raises(CommandError) as failure:
            call_command("load_config", "desk.yaml", *option)
        assert failure.value.returncode == 2
        told = str(failure.value).splitlines()
        assert [
            line for line, expected in zip(told, TOLD, strict=True) if not line.startswith(f"desk.yaml:{expected}")
        ] == []
        assert "abc-of-the-file" not in str(failure.value)
    assert everything() == before
