"""The desk's own look at its books: quiet where all is a fold of the facts, and naming each thing that is not."""

from decimal import Decimal

import pytest

from orders.books import discrepancies
from orders.models import Order, Position
from risk.models import ExposureTotal
from tests.migrate.conftest import backups, legacy, migrated  # noqa: F401
from tests.orders.conftest import wakings  # noqa: F401
from tests.recovery.traded import trade
from tradingdesk.audit.models import AuditEvent
from tradingdesk.audit.protection import amend_facts

pytestmark = pytest.mark.django_db


@pytest.fixture
def traded(wakings):  # noqa: F811
    trade()
    assert list(discrepancies()) == []


def only() -> str:
    [line] = discrepancies()
    return line


def test_what_came_from_a_legacy_database_balances(legacy, migrated):  # noqa: F811
    migrated(legacy)
    assert Order.objects.filter(legacy_id__isnull=False).count() > 100
    assert list(discrepancies()) == []


def test_order_whose_quantity_is_not_what_traded_is_named(traded):
    Order.objects.filter(client_order_id="alpaca-3").update(cum_qty=41)
    assert only().startswith("order alpaca-3: 41 at 182.3 here, its executions make 40 at 182.3")


def test_order_whose_status_is_not_its_facts_is_named(traded):
    Order.objects.filter(client_order_id="alpaca-1").update(status="filled")
    assert only() == "order alpaca-1: it is filled, its facts make it new"


def test_position_that_is_not_the_fold_of_its_executions_is_named(traded):
    Position.objects.filter(account="alpaca").update(avg_px=Decimal("1.5"))
    assert only().startswith("position alpaca IBM:")


def test_position_that_is_gone_is_named_with_its_exposure(traded):
    Position.objects.filter(account="alpaca").delete()
    assert [line.partition(" ")[0] for line in discrepancies()] == ["position", "exposure"]


@pytest.mark.parametrize("column", ["open_buy_qty", "open_buy_notional", "position_qty"])
def test_total_that_is_not_its_sum_is_named(traded, column):
    row = ExposureTotal.objects.get(key="2:alpaca:IBM")
    ExposureTotal.objects.filter(pk=row.pk).update(**{column: getattr(row, column) + 1})
    assert only().startswith("exposure 2:alpaca:IBM:")


def test_total_of_an_account_that_is_not_the_sum_of_its_symbols_is_named(traded):
    ExposureTotal.objects.filter(key="1:alpaca").update(gross=5)
    assert only().startswith("exposure 1:alpaca: 5 here")


def test_total_of_a_sector_that_is_not_the_sum_of_its_symbols_is_named(traded):
    ExposureTotal.objects.create(key="3:alpaca:Energy", broker_name="alpaca", sector="Energy", net_low=-7)

    assert only() == "exposure 3:alpaca:Energy: -7 here, its symbols make 0 (net_low)"


def test_missing_total_is_named(traded):
    ExposureTotal.objects.filter(key="2:alpaca:IBM").delete()
    assert "exposure of alpaca IBM: there is no total" in list(discrepancies())


def test_execution_that_the_trail_does_not_tell_of_is_named(traded):
    event = AuditEvent.objects.filter(kind="execution").latest("id")
    with amend_facts(actor="ann", reason="to see it found"):
        AuditEvent._base_manager.filter(pk=event.pk)._raw_delete("default")
    assert only().startswith("the trail tells of")
