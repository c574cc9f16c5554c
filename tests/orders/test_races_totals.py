"""Threads that race for one limit on a total, with orders in different symbols at different accounts."""

from collections import Counter
from decimal import Decimal

import pytest

from brokers.models import Instrument
from orders.models import Order, OrderRequest
from risk.limits import LimitValue, set_limits
from risk.models import Control, ExposureTotal
from risk.rulebook import forget
from tests.factories import trading_desk
from tests.orders.invariants import assert_books_balance
from tests.orders.racing import race, raise_first, submit_one

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

THREADS = 50
SIZE = Decimal(18_240)  # 100 at 182.40
ACCOUNTS, SYMBOLS = ("alpaca", "alpaca_margin"), ("IBM", "BAC")
SOMEWHERE = [{"broker_name": name, "symbol": symbol} for name in ACCOUNTS for symbol in SYMBOLS]
OF_ONE_SYMBOL = [one for one in SOMEWHERE if one["symbol"] == "IBM"]
CONTESTS = [
    (Control.MAX_NET_EXPOSURE, "NET_EXPOSURE_EXCEEDS_LIMIT", SOMEWHERE),
    (Control.MAX_SYMBOL_EXPOSURE, "SYMBOL_EXPOSURE_EXCEEDS_LIMIT", OF_ONE_SYMBOL),
    (Control.MAX_SECTOR_EXPOSURE, "SECTOR_EXPOSURE_EXCEEDS_LIMIT", SOMEWHERE),
    (Control.MAX_BETA_EXPOSURE, "BETA_EXPOSURE_EXCEEDS_LIMIT", SOMEWHERE),
]


@pytest.fixture(autouse=True)
def desk(transactional_db, wakings):
    forget()
    yield trading_desk()
    forget()


@pytest.mark.parametrize("room", [SIZE * 5, SIZE * 5 - Decimal("0.01")], ids=["exact", "cent-below"])
@pytest.mark.parametrize(("control", "code", "bodies"), CONTESTS, ids=lambda value: str(value) if value else "")
def test_orders_in_several_symbols_and_accounts_pass_exactly_as_many_as_fit(control, code, bodies, room):
    Instrument.objects.update(sector="Technology", beta=1)
    set_limits([LimitValue(control, room)], actor="ann", reason="race")

    statuses = raise_first(race(lambda number: submit_one(number, **bodies[number % len(bodies)]), THREADS))

    fits = int(room // SIZE)
    assert Counter(statuses) == {"pending": fits, "denied": THREADS - fits}
    assert OrderRequest.objects.count() == fits
    codes = {denial["code"] for order in Order.objects.filter(status="denied") for denial in order.denials}
    assert codes == {code}
    of_sector = ExposureTotal.objects.sectors().values_list("gross", flat=True)
    assert sum(of_sector) == SIZE * fits
    assert_books_balance()


def test_order_after_a_change_of_sector_takes_what_its_symbol_has_there_along():
    Instrument.objects.update(sector="Services")
    assert submit_one(0, broker_name="alpaca") == "pending"
    Instrument.objects.update(sector="Technology")

    assert submit_one(1, broker_name="alpaca") == "pending"

    gross = dict(ExposureTotal.objects.sectors().values_list("sector", "gross"))
    assert gross == {"Services": 0, "Technology": SIZE * 2}
    assert_books_balance()
