"""Totals from before there were sums by side and sector get them."""

from decimal import Decimal
from importlib import import_module

import pytest
from django.apps import apps

from risk import exposure
from risk.models import ExposureTotal
from risk.sums import SUMS
from tests.factories import InstrumentFactory
from tradingdesk.fix import Side

pytestmark = pytest.mark.django_db


def test_sums_are_worked_out_as_the_desk_keeps_them_itself():
    InstrumentFactory(symbol="IBM", sector="Technology"), InstrumentFactory(symbol="ADS", currency="EUR")
    for broker_name, symbol in (("alpha", "IBM"), ("beta", "IBM"), ("alpha", "ADS")):
        row = exposure.lock_for_report(broker_name, symbol)
        exposure.move(row, side=Side.BUY, qty=Decimal(1), notional=Decimal(100))
        exposure.move(row, side=Side.SELL, qty=Decimal(3), notional=Decimal(300), position_qty=Decimal(1))
    kept = list(ExposureTotal.objects.values("key", "sector", "fx_rate", *SUMS))
    ExposureTotal.objects.sectors().delete()
    ExposureTotal.objects.update(sector="", fx_rate=None, **dict.fromkeys(SUMS[1:], 0))

    import_module("risk.migrations.0007_sums_of_what_is_there").fill(apps, None)

    assert list(ExposureTotal.objects.values("key", "sector", "fx_rate", *SUMS)) == kept
