"""How PostgreSQL goes about a decision's questions where there is a long past: by what is recent, planned once."""

from collections.abc import Iterator

import pytest
from django.db import connection, transaction

from orders.intake import preview_order
from orders.ticket import parse_ticket
from risk.limits import LimitValue, set_limits
from risk.models import Control
from risk.rulebook import forget
from tests import environment
from tests.benchmarks import large_desk
from tests.benchmarks.history import add_history
from tests.orders.desk import LIMIT_BUY, Counterparty, submit
from tests.services import with_path

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.slow,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite makes its plans without the values"),
]
PAST = 20_000
OF_THE_PAST = ("orders", "order_requests", "executions", "daily_bars")
OF_FEW = {"request_buying_power"}  # replaces alone are in it
# PostgreSQL tries values' own plans so often before it decides on one for all.
TRIED_AT_MOST = 5
LOOKING_BACK = (Control.MAX_REPEATED_EXECUTIONS, Control.MAX_CHILDREN_PER_PARENT, Control.MAX_NOTIONAL_PER_PARENT)
BODY = LIMIT_BUY | {"price": "100", "strategy": "bench"}


@pytest.fixture(autouse=True)
def past(wakings) -> Iterator[None]:
    """A desk with a past that the database's statistics know of, on which every control that looks back is in force."""
    names = large_desk.build(controls=0, open_orders=100, positions=20)
    limits = [LimitValue(control, large_desk.ROOM) for control in LOOKING_BACK]
    set_limits(limits, actor="ann", reason="look back")
    order = submit(**BODY | {"symbol": names[0]})
    broker = Counterparty(order)
    broker.acknowledge()
    broker.fill("model", order.order_qty, 100)
    add_history(with_path(environment.postgres_url(), connection.settings_dict["NAME"]), PAST)
    forget()
    yield
    forget()


def test_no_question_about_the_past_is_planned_at_every_use():
    decide_often()

    planned = [(sql, often) for _, sql, _, often in prepared() if often > TRIED_AT_MOST]
    assert planned == []


def test_past_is_read_by_the_part_of_an_index_that_is_asked_for():
    decide_often()

    with transaction.atomic():
        read = [step for plan in plans() for step in steps(plan) if step.get("Relation Name") in OF_THE_PAST]
    assert len(read) > len(OF_THE_PAST)
    assert [step for step in read if reads_all(step)] == []


def decide_often() -> None:
    """Take and preview orders until PostgreSQL has decided how."""
    for symbol in large_desk.symbols(10) * 2:
        body = BODY | {"symbol": symbol}
        assert submit(**body).status == "pending"
        assert preview_order(ticket=parse_ticket(body), actor="ann").allowed


def prepared() -> list[tuple[str, str, int, int]]:
    """Each prepared statement that reads what has a past: name, SQL, number of values, how often planned for these."""
    places = "coalesce(array_length(parameter_types, 1), 0)"
    found = asked(f"SELECT name, statement, {places}, custom_plans FROM pg_prepared_statements")
    asks = [one for one in found if one[1].lstrip("(").startswith("SELECT")]
    return [one for one in asks if any(f'"{table}"' in one[1] for table in OF_THE_PAST)]


def plans() -> Iterator[dict]:
    """The plan for all values, as it was made, of each of them; to be asked for inside a transaction."""
    asked("SELECT set_config('plan_cache_mode', 'force_generic_plan', true)")
    for name, _, count, _ in prepared():
        places = f"({', '.join(['NULL'] * count)})" if count else ""
        (((told,),),) = asked(f'EXPLAIN (FORMAT JSON) EXECUTE "{name}"{places}')
        yield told["Plan"]


def steps(plan: dict) -> Iterator[dict]:
    """A plan's steps."""
    yield plan
    for part in plan.get("Plans", ()):
        yield from steps(part)


def reads_all(step: dict) -> bool:
    """Whether a step reads a table, or an index that has most of its rows, from one end to the other."""
    bounded = "Index Cond" in step or "Recheck Cond" in step
    return not bounded and step.get("Index Name") not in OF_FEW


def asked(sql: str, *values: object) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values or None)
        return cursor.fetchall()
