"""What the Alpaca adapter reads, page by page, and that an answer which goes wrong is never an empty one."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from brokers.messages import OutcomeUnknown, TryLater
from tests.brokers.alpaca_samples import ORDER_ID, raw_fill, raw_order
from tests.brokers.scripted_broker import HANG_UP, Answer


def test_read_is_asked_again_once_after_a_lost_connection(broker, adapter):
    broker.will_answer(HANG_UP, Answer(200, raw_order()))
    assert adapter.find_order("desk-1").broker_order_id == ORDER_ID
    broker.will_answer(HANG_UP, HANG_UP, Answer(200, raw_order()))
    with pytest.raises(OutcomeUnknown):
        adapter.find_order("desk-1")


@pytest.mark.parametrize("status", [429, 504])
def test_read_is_not_repeated_by_the_sdk(broker, adapter, status):
    broker.will_answer(Answer(status), Answer(200, raw_order()))
    with pytest.raises((TryLater, OutcomeUnknown)):
        adapter.find_order("desk-1")
    assert len(broker.asked) == 1


@pytest.mark.parametrize(
    "read",
    [
        lambda a: a.open_orders(),
        lambda a: a.executions(),
        lambda a: a.positions(),
        lambda a: a.instruments(),
        lambda a: a.quotes(["IBM"]),
        lambda a: a.clock(),
    ],
)
@pytest.mark.parametrize("body", [None, {}, "<html></html>"])
def test_answer_that_is_no_list_is_never_taken_for_an_empty_one(broker, adapter, read, body):
    broker.will_answer(Answer(200, body))
    with pytest.raises(OutcomeUnknown):
        read(adapter)


def test_open_orders_are_read_to_the_last_page(broker, adapter):
    first = [raw_order(id=f"order-{n}", submitted_at="2025-12-12T22:31:24.577215743Z") for n in range(500)]
    second = [*first[-2:], raw_order(id="order-500")]
    broker.will_answer(Answer(200, first), Answer(200, second))
    assert [report.broker_order_id for report in adapter.open_orders()] == [f"order-{n}" for n in range(501)]
    assert broker.asked[0].path == "/v2/orders?status=open&limit=500&direction=asc&nested=false"
    assert broker.asked[1].path.endswith("&after=2025-12-12T22%3A31%3A24.577214Z")


def test_open_orders_that_cannot_be_paged_are_unknown_rather_than_short(broker, adapter):
    page = Answer(200, [raw_order(id=f"order-{n}") for n in range(500)])
    broker.will_answer(page, page)
    with pytest.raises(OutcomeUnknown):
        adapter.open_orders()


def test_executions_are_read_page_by_page_reaching_back_in_time(broker, adapter):
    broker.will_answer(Answer(200, [raw_fill(n) for n in range(100)]), Answer(200, [raw_fill(100)]))
    reports = adapter.executions(after=datetime(2025, 12, 12, 18, 30, 0, 500_000, tzinfo=UTC))
    assert [report.exec_id for report in reports] == [raw_fill(n)["id"] for n in range(101)]
    assert broker.asked[0].path.endswith("?direction=asc&page_size=100&after=2025-12-12T18%3A29%3A55Z")
    assert "page_token=20251212133000099%3A%3A" in broker.asked[1].path


def test_executions_broken_off_between_pages_give_nothing(broker, adapter):
    broker.will_answer(Answer(200, [raw_fill(n) for n in range(100)]), Answer(500))
    with pytest.raises(OutcomeUnknown):
        adapter.executions()


def test_caller_that_is_up_to_date_gets_late_fills_and_nothing_twice(broker, adapter):
    broker.will_answer(Answer(200, [raw_fill(7), raw_fill(9)]))
    assert len(adapter.executions()) == 2
    late = raw_fill(8)
    broker.will_answer(Answer(200, [raw_fill(7), late, raw_fill(9), raw_fill(10)]))
    fresh = adapter.executions(after_id=raw_fill(9)["id"])
    assert [report.exec_id for report in fresh] == [late["id"], raw_fill(10)["id"]]
    assert "after=2025-12-12T18%3A30%3A04Z" in broker.asked[1].path
    broker.will_answer(Answer(200, [raw_fill(10)]))
    assert adapter.executions(after_id=raw_fill(10)["id"]) == []


def test_caller_that_lost_an_answer_gets_it_again(broker, adapter):
    broker.will_answer(Answer(200, [raw_fill(7)]), Answer(200, [raw_fill(7), raw_fill(9)]))
    adapter.executions()
    adapter.executions(after_id=raw_fill(7)["id"])
    broker.will_answer(Answer(200, [raw_fill(6)]), Answer(200, [raw_fill(7), raw_fill(9)]))
    again = adapter.executions(after_id=raw_fill(7)["id"])
    assert raw_fill(9)["id"] in [report.exec_id for report in again]


def test_fill_from_before_a_restart_is_found_in_time_by_its_predecessor(broker, adapter):
    broker.will_answer(Answer(200, [raw_fill(8)]), Answer(200, [raw_fill(8), raw_fill(9), raw_fill(10)]))
    adapter.executions(after_id=raw_fill(9)["id"])
    assert "direction=desc&page_size=1&page_token=20251212133000009" in broker.asked[0].path
    assert "direction=asc&page_size=100&after=2025-12-12T18%3A30%3A03Z" in broker.asked[1].path


def test_fill_that_a_reset_account_does_not_know_is_answered_with_all_there_are(broker, adapter):
    broker.will_answer(Answer(422, {"code": 40010001, "message": "page_token is invalid"}), Answer(200, [raw_fill(1)]))
    assert [report.exec_id for report in adapter.executions(after_id="gone")] == [raw_fill(1)["id"]]
    assert broker.asked[1].path == "/v2/account/activities/FILL?direction=asc&page_size=100"
    broker.will_answer(Answer(500))
    with pytest.raises(OutcomeUnknown):
        adapter.executions(after_id="gone")


def test_few_instruments_are_asked_one_by_one_and_unknown_ones_left_out(broker, adapter):
    asset = {"id": "x", "symbol": "IBM", "class": "us_equity", "status": "active", "tradable": True}
    broker.will_answer(Answer(200, asset), Answer(404, {"code": 40410000, "message": "asset not found for ZZZZ"}))
    assert [info.symbol for info in adapter.instruments(["ZZZZ", "IBM"])] == ["IBM"]
    assert [asked.path for asked in broker.asked] == ["/v2/assets/IBM", "/v2/assets/ZZZZ"]


def test_quotes_keep_the_digits_of_json_numbers(broker, adapter):
    body = '{"quotes": {"IBM": {"bp": 181.20000000001, "bs": 3, "ap": 181.3, "as": 4, "t": "2025-12-12T18:30:01Z"}}}'
    broker.will_answer(Answer(200, body))
    (quote,) = adapter.quotes(["IBM", "BAC", "IBM"])
    assert (quote.bid_px, quote.ask_px, quote.feed) == (Decimal("181.20000000001"), Decimal("181.3"), "iex")
    assert broker.asked[0].path == "/v2/stocks/quotes/latest?symbols=BAC%2CIBM&feed=iex"


def test_no_symbols_ask_nothing(broker, adapter):
    assert adapter.quotes([]) == adapter.instruments([]) == []
    assert broker.asked == []
