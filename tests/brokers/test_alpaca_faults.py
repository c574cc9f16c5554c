"""The Alpaca adapter against answers that go wrong, over real sockets."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from brokers.adapters.alpaca.adapter import Adapter
from brokers.messages import CancelOrder, NotSupported, OrderRefused, OutcomeUnknown, ReplaceOrder, TryLater
from tests.brokers.alpaca_samples import KEYS, ORDER_ID, market_order, new_order, raw_order
from tests.brokers.scripted_broker import HANG_UP, SILENCE, Answer
from tradingdesk.fix import ExecType, OrdStatus, OrdType, Side, TimeInForce

DUPLICATE = Answer(422, {"code": 40010001, "message": "client_order_id must be unique"})
NO_ORDER = Answer(404, {"code": 40410000, "message": "order not found for desk-1"})
HTML = {"Content-Type": "text/html"}
NEW_ID = "00000000-0000-4000-8000-000000000002"


@pytest.fixture
def impatient(broker) -> Iterator[Adapter]:
    adapter = Adapter(KEYS | {"base_url": broker.url, "read_timeout": 0.2})
    yield adapter
    adapter.close()


def replace_order(**changes) -> ReplaceOrder:
    return ReplaceOrder(
        **{
            "client_order_id": "desk-1-R2",
            "orig_client_order_id": "desk-1",
            "broker_order_id": ORDER_ID,
            "price": Decimal("182.50"),
        }
        | changes
    )


CANCEL = CancelOrder(client_order_id="desk-1-C", orig_client_order_id="desk-1", broker_order_id=ORDER_ID)


def test_submit_sends_one_post_of_exact_strings(broker, adapter):
    broker.will_answer(Answer(200, raw_order(status="pending_new")))
    report = adapter.submit(new_order(order_qty=Decimal("10.000000000"), price=Decimal("181.250000000")))
    assert (report.exec_type, report.status) == (ExecType.PENDING_NEW, OrdStatus.PENDING)
    (asked,) = broker.asked
    assert (asked.method, asked.path) == ("POST", "/v2/orders")
    assert asked.body.count(b'"10"') == 1
    assert asked.json == {
        "client_order_id": "desk-1",
        "symbol": "IBM",
        "side": "buy",
        "type": "limit",
        "time_in_force": "day",
        "qty": "10",
        "limit_price": "181.25",
    }
    assert asked.headers["APCA-API-KEY-ID"] == "a-key"


@pytest.mark.parametrize(
    ("order", "fields"),
    [
        (market_order(order_qty=None, notional=Decimal("500.75")), {"type": "market", "notional": "500.75"}),
        (market_order(order_qty=Decimal("0.123456789")), {"type": "market", "qty": "0.123456789"}),
        (
            new_order(ord_type=OrdType.STOP_LIMIT, stop_px=Decimal("180.10"), time_in_force=TimeInForce.GTC),
            {"type": "stop_limit", "stop_price": "180.1", "limit_price": "181.25", "time_in_force": "gtc"},
        ),
        (
            market_order(ord_type=OrdType.TRAILING_STOP, trail_percent=Decimal("1.50"), side=Side.SELL),
            {"type": "trailing_stop", "trail_percent": "1.5", "side": "sell"},
        ),
        (
            market_order(ord_type=OrdType.TRAILING_STOP, trail_price=Decimal(1)),
            {"type": "trailing_stop", "trail_price": "1"},
        ),
        (market_order(time_in_force=TimeInForce.FOK), {"time_in_force": "fok"}),
    ],
)
def test_each_kind_of_order_is_sent_in_alpacas_fields(broker, adapter, order, fields):
    broker.will_answer(Answer(200, raw_order()))
    adapter.submit(order)
    sent = broker.asked[0].json
    assert sent.items() >= fields.items()
    assert sent["client_order_id"] == "desk-1"
    assert all(type(value) is str for value in sent.values())


@pytest.mark.parametrize(
    "order",
    [
        new_order(client_order_id=""),
        new_order(client_order_id="x" * 129),
        new_order(order_qty=None),
        new_order(notional=Decimal(5)),
        new_order(order_qty=Decimal(0)),
        new_order(order_qty=Decimal("NaN")),
        new_order(order_qty=Decimal("0.1234567891")),
        new_order(price=None),
        new_order(price=Decimal(-1)),
        new_order(ord_type=OrdType.STOP_LIMIT),
        new_order(ord_type=OrdType.TRAILING_STOP),
        market_order(ord_type=OrdType.TRAILING_STOP, trail_price=Decimal(1), trail_percent=Decimal(1)),
        new_order(ord_type=OrdType.STOP, price=None, stop_px=Decimal(1), time_in_force=TimeInForce.OPG),
        new_order(ord_type=OrdType.STOP, price=None, stop_px=Decimal(1), time_in_force=TimeInForce.CLS),
        new_order(time_in_force=TimeInForce.IOC, extended_hours=True),
        market_order(extended_hours=True),
        new_order(order_class="bracket"),
        market_order(order_qty=Decimal("1.5"), time_in_force=TimeInForce.GTC),
        market_order(ord_type=OrdType.TRAILING_STOP, trail_price=Decimal(1), order_qty=Decimal("1.5")),
        new_order(order_qty=None, notional=Decimal(500)),
        market_order(order_qty=None, notional=Decimal("0.99")),
    ],
)
def test_order_that_alpaca_cannot_take_is_not_sent(broker, adapter, order):
    with pytest.raises(NotSupported):
        adapter.submit(order)
    assert broker.asked == []


@pytest.mark.parametrize("body", [{"code": 42910000, "message": "rate limit exceeded"}, "<html>slow down</html>", None])
def test_rate_limited_submit_is_sent_once_and_is_for_later(broker, adapter, body):
    broker.will_answer(Answer(429, body, {"Retry-After": "2"}), Answer(200, raw_order()))
    with pytest.raises(TryLater) as caught:
        adapter.submit(new_order())
    assert caught.value.retry_after == 2.0
    assert len(broker.sent("POST")) == 1


@pytest.mark.parametrize(
    "fault",
    [
        Answer(504, "<html>Gateway Time-out</html>", HTML),
        Answer(504),
        Answer(500, {"code": 50010000, "message": "internal server error occurred"}),
        Answer(503, "upstream"),
        Answer(403, "<html>Blocked</html>", HTML),
        Answer(200),
        Answer(200, "<html>Welcome</html>", HTML),
        Answer(200, '{"id": "half'),
        Answer(200, {}),
        Answer(200, []),
        Answer(200, raw_order(filled_qty="many")),
        Answer(200, raw_order(id=None)),
        Answer(307, None, {"Location": "/v2/elsewhere"}),
        HANG_UP,
    ],
)
def test_answer_that_proves_nothing_leaves_the_outcome_unknown_after_one_post(broker, adapter, fault):
    broker.will_answer(fault, Answer(200, raw_order()))
    with pytest.raises(OutcomeUnknown):
        adapter.submit(new_order())
    assert [asked.method for asked in broker.asked] == ["POST"]


@pytest.mark.parametrize("call", [lambda a: a.submit(new_order()), lambda a: a.cancel(CANCEL), lambda a: a.account()])
def test_silent_broker_is_given_up_after_the_read_timeout(broker, impatient, call):
    broker.will_answer(SILENCE)
    with pytest.raises(OutcomeUnknown, match="ReadTimeout"):
        call(impatient)
    assert len(broker.asked) == 1


def test_broker_that_is_not_there_was_not_told():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    adapter = Adapter(KEYS | {"base_url": f"http://127.0.0.1:{port}"})
    with pytest.raises(TryLater):
        adapter.submit(new_order())
    adapter.close()


def test_refused_order_tells_why(broker, adapter):
    refusal = {"code": 40310000, "message": "insufficient buying power", "buying_power": "0", "cost_basis": "1812.5"}
    broker.will_answer(Answer(403, refusal))
    with pytest.raises(OrderRefused, match="insufficient buying power") as caught:
        adapter.submit(new_order())
    assert (caught.value.code, caught.value.raw["cost_basis"]) == ("INSUFFICIENT_BUYING_POWER", "1812.5")


def test_duplicate_of_the_same_order_is_answered_with_that_order(broker, adapter):
    broker.will_answer(DUPLICATE, Answer(200, raw_order(status="filled", filled_qty="10", qty="10.000000000")))
    report = adapter.submit(new_order())
    assert (report.broker_order_id, report.status, report.exec_type) == (ORDER_ID, OrdStatus.FILLED, ExecType.NEW)
    assert [asked.method for asked in broker.asked] == ["POST", "GET"]
    assert broker.asked[1].path == "/v2/orders:by_client_order_id?client_order_id=desk-1"


@pytest.mark.parametrize("other", [{"qty": "11"}, {"symbol": "BAC"}, {"side": "sell"}, {"type": "stop"}])
def test_duplicate_of_another_order_is_refused(broker, adapter, other):
    broker.will_answer(DUPLICATE, Answer(200, raw_order(**other)))
    with pytest.raises(OrderRefused, match="used by another order") as caught:
        adapter.submit(new_order())
    assert caught.value.code == "DUPLICATE_CLIENT_ORDER_ID"


@pytest.mark.parametrize("lookup", [Answer(500), NO_ORDER, HANG_UP])
def test_duplicate_that_cannot_be_looked_up_is_unknown(broker, adapter, lookup):
    broker.will_answer(DUPLICATE, lookup, lookup)
    with pytest.raises(OutcomeUnknown):
        adapter.submit(new_order())
    assert len(broker.sent("POST")) == 1


def test_unknown_order_is_none_only_when_alpaca_says_so(broker, adapter):
    broker.will_answer(NO_ORDER, NO_ORDER)
    assert adapter.find_order("desk-1") is None
    assert adapter.read_order(ORDER_ID) is None
    broker.will_answer(Answer(404, "<html>Not Found</html>", HTML))
    with pytest.raises(OutcomeUnknown):
        adapter.find_order("desk-1")
    broker.will_answer(Answer(404, {"message": "endpoint not found."}))
    with pytest.raises(OrderRefused):
        adapter.read_order(ORDER_ID)


def test_ids_are_quoted_in_paths(broker, adapter):
    broker.will_answer(NO_ORDER, NO_ORDER)
    adapter.find_order("a&b=c")
    adapter.read_order("../account")
    assert [asked.path for asked in broker.asked] == [
        "/v2/orders:by_client_order_id?client_order_id=a%26b%3Dc",
        "/v2/orders/..%2Faccount?nested=true",
    ]


def test_cancel_is_taken_or_refused(broker, adapter):
    broker.will_answer(Answer(204), Answer(422, {"code": 42210000, "message": 'order is already in "filled" state'}))
    assert adapter.cancel(CANCEL) is None
    with pytest.raises(OrderRefused) as caught:
        adapter.cancel(CANCEL)
    assert caught.value.code == "NOT_CHANGEABLE"
    assert [(asked.method, asked.path) for asked in broker.asked] == [("DELETE", f"/v2/orders/{ORDER_ID}")] * 2


@pytest.mark.parametrize(("status", "error"), [(429, TryLater), (504, OutcomeUnknown), (500, OutcomeUnknown)])
def test_cancel_and_replace_are_sent_once(broker, adapter, status, error):
    broker.will_answer(Answer(status), Answer(status), Answer(204))
    with pytest.raises(error):
        adapter.cancel(CANCEL)
    with pytest.raises(error):
        adapter.replace(replace_order())
    assert [asked.method for asked in broker.asked] == ["DELETE", "PATCH"]


def test_replace_sends_only_the_changes_and_promises_nothing(broker, adapter):
    broker.will_answer(Answer(200, raw_order(id=NEW_ID, client_order_id="desk-1-R2", replaces=ORDER_ID)))
    report = adapter.replace(replace_order(order_qty=Decimal("12.000"), time_in_force=TimeInForce.GTC))
    assert (report.exec_type, report.broker_order_id, report.replaces) == (ExecType.PENDING_REPLACE, NEW_ID, ORDER_ID)
    assert broker.asked[0].json == {
        "client_order_id": "desk-1-R2",
        "qty": "12",
        "limit_price": "182.5",
        "time_in_force": "gtc",
    }


def test_trail_of_a_trailing_stop_is_replaced(broker, adapter):
    broker.will_answer(Answer(200, raw_order(id=NEW_ID, replaces=ORDER_ID)))
    adapter.replace(replace_order(price=None, trail_price=Decimal("0.75")))
    assert broker.asked[0].json == {"client_order_id": "desk-1-R2", "trail": "0.75"}


@pytest.mark.parametrize("changes", [{"price": None}, {"order_qty": Decimal("1.5")}, {"order_qty": Decimal(0)}])
def test_replace_that_alpaca_cannot_take_is_not_sent(broker, adapter, changes):
    with pytest.raises(NotSupported):
        adapter.replace(replace_order(**changes))
    assert broker.asked == []


@pytest.mark.parametrize(
    "refusal", [DUPLICATE, Answer(422, {"code": 42210000, "message": 'order is already in "replaced" state'})]
)
def test_replace_whose_first_answer_was_lost_counts_as_taken(broker, adapter, refusal):
    broker.will_answer(refusal, Answer(200, raw_order(id=NEW_ID, client_order_id="desk-1-R2", replaces=ORDER_ID)))
    assert adapter.replace(replace_order()).broker_order_id == NEW_ID


def test_replace_of_an_order_that_others_replaced_is_refused(broker, adapter):
    broker.will_answer(Answer(422, {"code": 42210000, "message": 'order is already in "replaced" state'}), NO_ORDER)
    with pytest.raises(OrderRefused, match="replaced"):
        adapter.replace(replace_order())


def test_rate_limit_headers_are_kept(broker, adapter):
    assert adapter.rate_limit is None
    headers = {"X-RateLimit-Limit": "200", "X-RateLimit-Remaining": "198", "X-RateLimit-Reset": "1765578600"}
    broker.will_answer(Answer(200, raw_order(), headers), Answer(429))
    adapter.submit(new_order())
    with pytest.raises(TryLater):
        adapter.submit(new_order())
    assert (adapter.rate_limit.limit, adapter.rate_limit.remaining) == (200, 198)
    assert adapter.rate_limit.resets_at == datetime.fromtimestamp(1765578600, UTC)


def test_connection_is_kept_and_cookies_are_not(broker, adapter):
    broker.will_answer(*[Answer(200, raw_order(), {"Set-Cookie": "a=b"})] * 3)
    for _ in range(3):
        adapter.find_order("desk-1")
    assert len({asked.connection for asked in broker.asked}) == 1
    assert all("Cookie" not in asked.headers for asked in broker.asked)


def test_sixteen_threads_share_one_adapter(broker, adapter):
    broker.will_answer(*[Answer(200, raw_order())] * 160)
    with ThreadPoolExecutor(16) as pool:
        reports = list(pool.map(lambda n: adapter.submit(new_order(client_order_id=f"desk-{n}")), range(160)))
    assert len(reports) == 160
    assert {asked.json["client_order_id"] for asked in broker.asked} == {f"desk-{n}" for n in range(160)}
    assert len({asked.connection for asked in broker.asked}) <= 16
