"""Statements that are made once give and write what the ORM does."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.db.models import Count, Q

from brokers.models import Listing, Quote
from orders.models import Order
from risk.models import ExposureTotal
from tests.factories import OrderFactory, QuoteFactory
from tradingdesk.audit.models import AuditEvent
from tradingdesk.statements import Param, Select, insert, store, together, update, update_if

pytestmark = pytest.mark.django_db

by_id = Select(Order.objects.filter(client_order_id=Param("client_order_id")))
by_ids = Select(Order.objects.filter(client_order_id__in=[Param("one"), Param("other")]).order_by("id"))


def values_of(row) -> dict:
    return {field.name: getattr(row, field.attname) for field in row._meta.concrete_fields}


def test_select_gives_the_rows_that_the_queryset_gives():
    order = OrderFactory(order_qty=Decimal("1.5"), denials=[{"code": "X"}])
    OrderFactory()

    (found,) = by_id(client_order_id=order.client_order_id)

    assert found == order
    assert values_of(found) == values_of(Order.objects.get(pk=order.pk))
    assert not found._state.adding


def test_select_runs_again_with_other_values_and_is_not_made_again(django_assert_num_queries):
    first, second = OrderFactory(), OrderFactory()

    with django_assert_num_queries(3):
        assert by_id.first(client_order_id=first.client_order_id) == first
        assert by_id.first(client_order_id=second.client_order_id) == second
        assert by_id.first(client_order_id="none") is None


def test_select_sees_what_changed_since_its_last_run():
    order = OrderFactory(strategy="before")
    assert by_id.first(client_order_id=order.client_order_id).strategy == "before"

    Order.objects.update(strategy="after")

    assert by_id.first(client_order_id=order.client_order_id).strategy == "after"


def test_select_takes_several_values_in_one_lookup():
    first, second, _ = OrderFactory(), OrderFactory(), OrderFactory()

    assert by_ids(one=first.client_order_id, other=second.client_order_id) == [first, second]


def test_select_follows_relations_without_asking_again(django_assert_num_queries):
    quote = QuoteFactory()
    QuoteFactory(listing__instrument__symbol="OTHER")
    of_symbol = Select(Listing.objects.filter(instrument__symbol=Param("symbol")).select_related("instrument", "quote"))

    with django_assert_num_queries(1):
        (found,) = of_symbol(symbol=quote.listing.instrument.symbol)
        assert found.quote == quote
        assert found.instrument.symbol == quote.listing.instrument.symbol


def test_select_leaves_a_relation_that_is_not_there_empty():
    quote = QuoteFactory()
    listing = quote.listing
    Quote.objects.all().delete()

    (found,) = Select(Listing.objects.filter(pk=Param("pk", Listing._meta.pk)).select_related("quote"))(pk=listing.pk)

    assert not hasattr(found, "quote")


def test_select_gives_plain_values_and_sums():
    order = OrderFactory()
    count = Select(
        Order.objects.filter(Q(symbol=Param("symbol"))).order_by().values_list("symbol").annotate(Count("pk"))
    )

    assert count(symbol=order.symbol) == [(order.symbol, 1)]


def test_place_of_a_value_that_a_lookup_would_turn_into_text_is_refused():
    with pytest.raises(TypeError, match="account"):
        Select(Order.objects.filter(account__in=[Param("account")]))(account="alpaca")


def test_making_the_sql_leaves_the_queryset_that_other_threads_make_theirs_from():
    queryset = Listing.objects.filter(instrument__symbol="IBM").select_related("instrument", "quote")
    before = dict(queryset.query.alias_refcount)

    Select(queryset)()

    assert queryset.query.alias_refcount == before


@pytest.mark.django_db(transaction=True)
def test_threads_run_one_statement_with_their_own_values():
    orders = [OrderFactory() for _ in range(4)]

    def look(order: Order) -> list[int]:
        try:
            return [by_id.first(client_order_id=order.client_order_id).pk for _ in range(20)]
        finally:
            connection.close()

    with ThreadPoolExecutor(len(orders)) as threads:
        found = list(threads.map(look, orders))

    assert found == [[order.pk] * 20 for order in orders]


def test_inserted_row_is_what_save_would_have_written():
    saved = OrderFactory(order_qty=Decimal("2.25"), denials=[{"code": "X"}], closed_at=datetime(2026, 1, 2, tzinfo=UTC))
    copy = Order(**{field.attname: getattr(saved, field.attname) for field in Order._meta.concrete_fields})
    copy.pk, copy.client_order_id, copy.broker_order_id = None, "copy", None

    insert(copy)

    stored = Order.objects.get(client_order_id="copy")
    assert stored.pk == copy.pk
    assert not copy._state.adding
    own = {"id": copy.pk, "client_order_id": "copy", "broker_order_id": None}
    assert values_of(stored) == values_of(Order.objects.get(pk=saved.pk)) | own


def test_insert_stores_json_and_nulls():
    event = AuditEvent(kind="test", actor="ann", before=None, after={"qty": Decimal("1.5"), "text": "é"})

    insert(event)

    stored = AuditEvent.objects.get(pk=event.pk)
    assert (stored.before, stored.after) == (None, {"qty": "1.5", "text": "é"})


def test_rows_inserted_together_have_their_keys_in_order(django_assert_num_queries):
    events = [AuditEvent(kind=f"test {number}", actor="ann") for number in range(5)]

    with django_assert_num_queries(1):
        insert(*events)

    assert list(AuditEvent.objects.order_by("id").values_list("pk", "kind")) == [(e.pk, e.kind) for e in events]


def test_rows_inserted_together_keep_what_only_some_of_them_have(django_assert_num_queries):
    instrument = QuoteFactory().listing.instrument
    prices = {"a": Decimal("1.5"), "b": None, "c": Decimal("2")}

    with django_assert_num_queries(1):
        insert(*[Order(client_order_id=one, instrument=instrument, order_qty=1, price=prices[one]) for one in prices])

    assert dict(Order.objects.values_list("client_order_id", "price")) == prices
    assert set(Order.objects.values_list("stop_px", "list_id")) == {(None, "")}


def test_number_that_is_none_is_refused_by_its_name():
    instrument = QuoteFactory().listing.instrument

    with pytest.raises(ValidationError, match="order_qty: NaN is not a number"):
        insert(Order(client_order_id="a", instrument=instrument, order_qty=Decimal("NaN")))


def test_insert_of_a_row_that_is_there_already_is_an_integrity_error():
    order = OrderFactory()

    with pytest.raises(IntegrityError), transaction.atomic():
        insert(Order(client_order_id=order.client_order_id, instrument=order.instrument, symbol="IBM", order_qty=1))

    assert Order.objects.count() == 1


def test_update_of_named_fields_leaves_the_others():
    order = OrderFactory(strategy="before", text="before")
    order.strategy = order.text = "after"

    update(order, "strategy")

    order.refresh_from_db()
    assert (order.strategy, order.text) == ("after", "before")


def test_update_of_a_whole_row_moves_its_time():
    row = ExposureTotal.objects.create(key="2:a:IBM")
    then, row.gross = row.updated_at, Decimal("12.5")

    update(row)

    row.refresh_from_db()
    assert row.gross == Decimal("12.5")
    assert row.updated_at > then


def test_update_of_a_row_that_is_gone_fails():
    order = OrderFactory()
    Order.objects.filter(pk=order.pk).delete()

    with pytest.raises(Order.DoesNotExist):
        update(order)


def test_update_if_writes_only_over_what_was_seen():
    order = OrderFactory(strategy="seen")
    other = Order.objects.get(pk=order.pk)
    order.strategy, other.strategy = "first", "second"

    assert update_if(order, {"strategy": "seen"}, "strategy")
    assert not update_if(other, {"strategy": "seen"}, "strategy")

    assert Order.objects.get().strategy == "first"


def test_rows_written_together_are_there_with_their_keys_after_the_block():
    order = OrderFactory(strategy="before")
    order.strategy = "after"
    events = [AuditEvent(kind=f"test {number}", actor="ann") for number in range(3)]

    with transaction.atomic(), together():
        insert(events[0])
        update(order, "strategy")
        assert by_id.first(client_order_id=order.client_order_id).strategy == "after"
        insert(*events[1:])

    assert list(AuditEvent.objects.order_by("id").values_list("pk", "kind")) == [(e.pk, e.kind) for e in events]
    assert Order.objects.get().strategy == "after"


def test_failure_of_one_statement_among_others_undoes_all_of_them():
    order = OrderFactory()
    copy = Order(client_order_id=order.client_order_id, instrument=order.instrument, symbol="IBM", order_qty=1)

    def write():
        with transaction.atomic(), together():
            insert(AuditEvent(kind="test", actor="ann"))
            insert(copy)
            insert(AuditEvent(kind="test", actor="ann"))

    with pytest.raises(IntegrityError):
        write()

    assert not AuditEvent.objects.exists()
    insert(AuditEvent(kind="test", actor="ann"))
    assert AuditEvent.objects.get().pk


def test_update_of_a_row_that_is_gone_fails_at_the_end_of_its_block():
    order = OrderFactory()
    Order.objects.filter(pk=order.pk).delete()

    with pytest.raises(Order.DoesNotExist), transaction.atomic(), together():
        update(order)


def test_store_inserts_once_and_updates_afterwards():
    order = OrderFactory.build(instrument=QuoteFactory().listing.instrument, account=None)

    store(order)
    order.strategy = "again"
    store(order)

    assert Order.objects.get().strategy == "again"
