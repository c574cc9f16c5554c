"""Breaks of cash, fees and commissions."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from brokers.models import BrokerAccount
from orders.models import ReconciliationBreak, ReconciliationMemory
from orders.reconcile.resolution import resolve_break
from orders.reconcile.run import reconcile_account
from tests.orders.desk import Counterparty, submit
from tests.orders.venue import twice, unreconciled
from tradingdesk.fix import ExecType, OrdStatus

pytestmark = pytest.mark.django_db


def test_cash_that_no_trade_explains_is_a_break_and_resolving_moves_the_starting_point(venue):
    venue.cash -= 500
    twice()
    row = ReconciliationBreak.objects.get()
    assert (row.kind, row.desk_value, row.broker_value) == ("cash", "1000000", "999500")

    resolve_break(row=row, take="keep", reason="annual fee", actor="rita")

    assert unreconciled() == ""
    assert twice().differences == 0
    assert ReconciliationMemory.objects.get().cash == Decimal(999_500)


def test_fees_within_the_allowance_are_no_break_and_do_not_add_up(venue):
    for _ in range(5):
        venue.cash -= 60
        assert reconcile_account("alpaca").differences == 0
    assert ReconciliationMemory.objects.get().cash == venue.cash


def uncharged_trade(account_adapter: str, *, hours_ago: float) -> Counterparty:
    """A trade that no commission was told of, at an account of this adapter."""
    BrokerAccount.objects.filter(pk="alpaca").update(adapter=account_adapter)
    broker = Counterparty(submit(broker_name="alpaca"))
    broker.acknowledge()
    told = broker.report(ExecType.TRADE, exec_id="T1", last_qty=100, last_px=182, status=OrdStatus.FILLED)
    broker.hear(replace(told, transact_time=timezone.now() - timedelta(hours=hours_ago)))
    return broker


def test_commission_that_was_never_told_is_a_break_that_blocks_nothing_and_ends_with_its_telling(venue):
    broker = uncharged_trade("interactive_brokers", hours_ago=26)
    venue.holdings, venue.cash = {"IBM": (100, 182)}, venue.cash - 18_200
    twice()
    row = ReconciliationBreak.objects.get()
    assert (row.kind, row.key, row.symbol, row.desk_value) == ("commission", "T1", "IBM", "not told")
    assert unreconciled() == ""

    broker.correct("T1+commission", "T1", 100, 182, commission="1.25")
    reconcile_account("alpaca")
    row.refresh_from_db()
    assert row.resolution == row.Resolution.AGREED


def test_commission_break_is_kept_as_it_is_once_somebody_noted_it(venue):
    uncharged_trade("interactive_brokers", hours_ago=26)
    venue.holdings, venue.cash = {"IBM": (100, 182)}, venue.cash - 18_200
    twice()
    resolve_break(row=ReconciliationBreak.objects.get(), take="keep", reason="1.25, by the statement", actor="rita")
    twice()
    assert ReconciliationBreak.objects.count() == 1


@pytest.mark.parametrize(("adapter", "hours_ago"), [("interactive_brokers", 22), ("alpaca", 26)])
def test_trade_that_has_no_commission_yet_or_never_gets_one_is_no_break(venue, adapter, hours_ago):
    uncharged_trade(adapter, hours_ago=hours_ago)
    venue.holdings, venue.cash = {"IBM": (100, 182)}, venue.cash - 18_200
    twice()
    assert not ReconciliationBreak.objects.exists()
