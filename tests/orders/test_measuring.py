"""What the gate is told of the desk's own tables: only what is asked for, and exactly what is there."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from brokers.models import BrokerAccount, Listing
from orders.changes import Changes, ReplaceDenied, request_cancel, request_replace
from orders.intake import preview_order, submit_order
from orders.models import Order, OrderRequest
from orders.ticket import parse_ticket
from risk.limits import LimitValue, set_limits
from risk.models import Control, Limit, Scope
from tests.factories import DailyBarFactory
from tests.orders.desk import LIMIT_BUY, Counterparty, submit
from tradingdesk.fix import ExecType, OrdStatus, RequestKind, RequestState

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def traded(desk):
    """A desk that trades, and whose rules this process knows."""
    submit()


def limit(control: Control, value, scope=Scope.FIRM, key="", *, hard=True) -> None:
    set_limits([LimitValue(control, Decimal(str(value)), scope, key, hard)], actor="rita", reason="a test")


def codes(order: Order) -> set[str]:
    return {denial["code"] for denial in order.denials}


def working(**body) -> Order:
    """An order that works at alpaca."""
    return Counterparty(submit(broker_name="alpaca", **body)).acknowledge()


def refusal(order: Order, **changes) -> set[str]:
    """Why a change of the order is denied; nothing when it is not."""
    try:
        request_replace(order=order, changes=Changes(**changes), actor="ann")
    except ReplaceDenied as denied:
        return {denial["code"] for denial in denied.denials}
    return set()


def sent_requests() -> int:
    return OrderRequest.objects.count()


def bars(volume, days=3, **bar) -> None:
    """The last days of IBM at every account."""
    today = timezone.now().date()
    for listing in Listing.objects.filter(instrument__symbol="IBM"):
        for day in range(1, days + 1):
            DailyBarFactory(listing=listing, day=today - timedelta(days=day), volume=volume, **bar)
        DailyBarFactory(listing=listing, day=today - timedelta(days=40), volume=10**9)


def clock_says(*, is_open: bool, drift_ms: int = 0, age=timedelta(0)) -> None:
    BrokerAccount.objects.update(
        session_open=is_open,
        session_changes_at=timezone.now() + timedelta(hours=1),
        clock_drift_ms=drift_ms,
        clock_read_at=timezone.now() - age,
    )


def test_average_daily_volume_is_that_of_the_last_days():
    limit(Control.MAX_ADV_SHARE, "0.1")
    bars(volume=1000)

    assert codes(submit(order_qty="100")) == set()
    before = sent_requests()
    denied = submit(order_qty="100.5")

    assert codes(denied) == {"VOLUME_SHARE_EXCEEDS_MAXIMUM"}
    assert sent_requests() == before


def test_order_is_denied_while_no_daily_bars_are_known():
    limit(Control.MAX_ADV_SHARE, "0.1")

    assert codes(submit(order_qty="1")) == {"CONTROL_NOT_MEASURED"}


def test_replace_is_held_against_the_volume_as_a_whole():
    order = working(order_qty="60")
    limit(Control.MAX_ADV_SHARE, "0.1")
    bars(volume=1000)

    assert refusal(order, order_qty=Decimal(101)) == {"VOLUME_SHARE_EXCEEDS_MAXIMUM"}
    assert refusal(order, order_qty=Decimal(100)) == set()


def test_displayed_size_is_the_far_side_of_the_quote():
    limit(Control.MAX_DISPLAYED_RATIO, 1)

    assert codes(submit(order_qty="500", price="90")) == set()
    assert codes(submit(order_qty="501", price="90")) == {"DISPLAYED_SIZE_EXCEEDS_MAXIMUM"}


def test_collar_is_about_the_mid_in_the_session_and_the_last_close_after_it():
    limit(Control.PRICE_COLLAR, "0.1")
    bars(volume=1000, close_px=Decimal(100))

    clock_says(is_open=True)
    assert codes(submit(price="200.69")) == set()
    assert codes(submit(price="200.70")) == {"PRICE_OUTSIDE_COLLAR"}
    clock_says(is_open=False)
    assert codes(submit(price="110")) == set()
    assert codes(submit(price="110.01")) == {"PRICE_OUTSIDE_COLLAR"}


def test_replace_is_held_against_the_collar():
    order = working()
    limit(Control.PRICE_COLLAR, "0.1")
    clock_says(is_open=True)

    assert refusal(order, price=Decimal("200.70")) == {"PRICE_OUTSIDE_COLLAR"}
    assert refusal(order, price=Decimal("200.69")) == set()


def test_clock_that_was_read_long_ago_is_not_known():
    limit(Control.SESSION_ONLY, 1)
    clock_says(is_open=True, age=timedelta(minutes=3))

    assert codes(submit()) == {"CONTROL_NOT_MEASURED"}


def test_session_that_ends_between_two_reads_is_closed():
    limit(Control.SESSION_ONLY, 1)
    clock_says(is_open=True)
    assert codes(submit()) == set()
    BrokerAccount.objects.update(session_changes_at=timezone.now() - timedelta(seconds=1))

    assert codes(submit()) == {"SESSION_CLOSED"}
    assert codes(submit(extended_hours=True)).isdisjoint({"SESSION_CLOSED"})
    assert refusal(working_before(), price=Decimal(90)) == {"SESSION_CLOSED"}


def working_before() -> Order:
    """An order that was acknowledged while there was no such limit."""
    return Counterparty(Order.objects.exclude(account=None).order_by("id").first()).acknowledge()


@pytest.mark.parametrize("ahead", [1, -1])
def test_clock_drift_counts_either_way(ahead):
    limit(Control.MAX_CLOCK_DRIFT, 2)
    clock_says(is_open=True, drift_ms=2000 * ahead)
    assert codes(submit()) == set()
    clock_says(is_open=True, drift_ms=2001 * ahead)

    assert codes(submit()) == {"CLOCK_DRIFT_EXCEEDS_MAXIMUM"}
    assert refusal(working_before(), price=Decimal(90)) == {"CLOCK_DRIFT_EXCEEDS_MAXIMUM"}


def test_same_order_within_the_window_is_denied_once_and_passes_after_it():
    limit(Control.DUPLICATE_WINDOW, 60)
    denied = submit()

    assert codes(denied) == {"DUPLICATE_ORDER"}
    Order.objects.exclude(pk=denied.pk).update(created_at=timezone.now() - timedelta(seconds=61))
    assert codes(submit()) == set()


@pytest.mark.parametrize(
    "other", [{"order_qty": "101"}, {"price": "182.41"}, {"side": "sell"}, {"symbol": "BAC"}, {"strategy": "other"}]
)
def test_order_that_differs_is_no_duplicate(other):
    limit(Control.DUPLICATE_WINDOW, 60)

    assert codes(submit(**other)).isdisjoint({"DUPLICATE_ORDER"})


def test_market_order_is_no_duplicate_of_a_limit_order_but_of_another_market_order():
    limit(Control.DUPLICATE_WINDOW, 60)

    assert codes(submit(ord_type="market", price=None)) == set()
    assert codes(submit(ord_type="market", price=None)) == {"DUPLICATE_ORDER"}


def test_halves_of_an_order_for_two_named_accounts_are_no_duplicates():
    names = list(BrokerAccount.objects.values_list("broker_name", flat=True))
    limit(Control.DUPLICATE_WINDOW, 60)

    found = [codes(submit(order_qty="50", broker_name=name)) for name in [*names, names[0]]]

    assert found == [set(), set(), {"DUPLICATE_ORDER"}]


def test_replace_that_makes_an_order_the_same_as_another_is_a_duplicate():
    order = working(order_qty="50")
    working(order_qty="60")
    limit(Control.DUPLICATE_WINDOW, 60)

    assert refusal(order, order_qty=Decimal(60)) == {"DUPLICATE_ORDER"}
    assert refusal(order, order_qty=Decimal(61)) == set()


def test_new_orders_replaces_and_cancels_count_as_messages_and_denied_orders_do_not():
    order, other = working(), working()
    request_cancel(order=other, actor="ann")
    limit(Control.MAX_MESSAGES_PER_MINUTE, 6)  # three new orders and a cancel so far

    assert refusal(order, price=Decimal(90)) == set()
    assert codes(submit()) == set()
    assert [codes(submit()), codes(submit())] == [{"MESSAGE_RATE_EXCEEDS_MAXIMUM"}] * 2
    Order.objects.update(created_at=timezone.now() - timedelta(seconds=61))
    assert codes(submit()) == set()


def test_replace_past_the_message_rate_is_denied():
    order = working()
    limit(Control.MAX_MESSAGES_PER_MINUTE, 2)

    assert refusal(order, price=Decimal(90)) == {"MESSAGE_RATE_EXCEEDS_MAXIMUM"}


@pytest.mark.parametrize(
    ("scope", "key", "counted"),
    [
        (Scope.USER, "ann", 2),
        (Scope.STRATEGY, "fast", 1),
        (Scope.SYMBOL, "IBM", 4),
        (Scope.FIRM, "", 4),
        (Scope.BROKER, "alpaca", 4),
        (Scope.ACCOUNT, "alpaca_margin", 1),
    ],
)
def test_messages_are_counted_by_what_the_limit_is_about(scope, key, counted):
    Order.objects.update(account="alpaca")
    ann = get_user_model().objects.create_user("ann")
    body = LIMIT_BUY | {"strategy": "fast", "broker_name": "alpaca_margin"}
    submit_order(ticket=parse_ticket(body), actor="ann", user=ann)
    submit_order(ticket=parse_ticket(LIMIT_BUY | {"broker_name": "alpaca"}), actor="ann", user=ann)
    submit(broker_name="alpaca")
    ticket = parse_ticket(body)

    limit(Control.MAX_MESSAGES_PER_MINUTE, counted + 1, scope, key)
    assert preview_order(ticket=ticket, actor="ann").allowed
    limit(Control.MAX_MESSAGES_PER_MINUTE, counted, scope, key)
    preview = preview_order(ticket=ticket, actor="ann")

    assert {denial["code"] for denial in preview.denials} == {"MESSAGE_RATE_EXCEEDS_MAXIMUM"}
    assert {denial["found"] for denial in preview.denials} == {str(counted + 1)}


def test_order_that_would_meet_one_of_our_own_at_another_account_is_denied():
    submit(side="sell", price="190", broker_name="alpaca_margin")
    submit(side="sell", price="189", broker_name="alpaca")
    limit(Control.NO_SELF_CROSS, 1)

    denied = submit(price="189", broker_name="alpaca_margin")

    assert codes(denied) == {"WOULD_CROSS_OWN_ORDER"}
    assert "at alpaca, 189" in denied.text
    assert codes(submit(price="188.99", broker_name="alpaca_margin")) == set()


def test_closed_orders_and_stops_are_met_by_nobody():
    submit(side="sell", price=None, ord_type="stop", stop_px="170")
    gone = submit(side="sell", price="183")
    request_cancel(order=gone, actor="ann")
    limit(Control.NO_SELF_CROSS, 1)

    assert codes(submit(price="185")) == set()


def test_replace_that_would_meet_one_of_our_own_is_denied():
    order = working(side="sell", price="190")
    limit(Control.NO_SELF_CROSS, 1)

    assert refusal(order, price=Decimal("182.40")) == {"WOULD_CROSS_OWN_ORDER"}
    assert refusal(order, price=Decimal("182.41")) == set()


def test_user_who_is_not_named_for_an_account_trades_at_the_others_only():
    ann, bob = (get_user_model().objects.create_user(name) for name in ("ann", "bob"))
    limit(Control.PERMISSION_REQUIRED, 1, Scope.ACCOUNT, "alpaca")
    limit(Control.PERMITTED, 1, Scope.USER_ACCOUNT, "ann alpaca")
    ticket = parse_ticket(LIMIT_BUY | {"broker_name": "alpaca"})

    orders = [submit_order(ticket=ticket, actor=user.username, user=user).order for user in (ann, bob)]
    elsewhere = submit_order(ticket=parse_ticket(LIMIT_BUY), actor="bob", user=bob).order

    assert [codes(order) for order in orders] == [set(), {"USER_NOT_PERMITTED"}]
    assert elsewhere.account_id == "alpaca_margin"
    order = Counterparty(orders[0]).acknowledge()
    with pytest.raises(ReplaceDenied, match="user=bob is not permitted to trade account alpaca"):
        request_replace(order=order, changes=Changes(price=Decimal(90)), actor="bob")


def test_soft_limit_holds_the_order_back_and_is_kept_with_its_decision():
    limit(Control.MAX_ORDER_QTY, 50, Scope.SYMBOL, "IBM", hard=False)

    order = submit()

    assert order.status == OrdStatus.PENDING_APPROVAL
    (warning,) = order.risk_decisions.get().warnings
    assert (warning["code"], warning["found"], warning["limit"]) == ("QUANTITY_EXCEEDS_MAXIMUM", "100", "50")
    assert (warning["control"], warning["scope"]) == ("max_order_qty", "symbol IBM")


def test_controls_in_force_are_asked_for_in_statements_of_their_own_and_others_are_not():
    ticket = parse_ticket(LIMIT_BUY)

    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            submit_order(ticket=ticket, actor="ann")
        return sum("SAVEPOINT" not in query["sql"] for query in queries)

    without = count()
    limit(Control.MAX_ADV_SHARE, 10**6)
    limit(Control.NO_SELF_CROSS, 1)
    limit(Control.MAX_MESSAGES_PER_MINUTE, 10**6)
    limit(Control.DUPLICATE_WINDOW, "0.000001")
    bars(volume=1000)
    submit()

    assert count() == without + 1 + 1 + 3 + 1


def test_children_of_a_parent_count_however_they_ended_and_denied_ones_do_not():
    limit(Control.MAX_CHILDREN_PER_PARENT, 3)
    request_cancel(order=submit(list_id="P-1"), actor="ann")
    submit(list_id="P-1", order_qty="100000")  # denied
    submit(list_id="P-1"), submit(list_id="P-2")

    assert codes(submit(list_id="P-1")) == set()
    assert codes(submit(list_id="P-1")) == {"TOO_MANY_CHILDREN"}
    assert codes(submit(list_id="P-2")) == set()
    assert codes(submit()) == set()


def test_notional_of_a_parent_is_what_its_orders_traded_and_may_still_trade():
    limit(Control.MAX_NOTIONAL_PER_PARENT, 30_000)
    traded = Counterparty(submit(list_id="P-1", broker_name="alpaca", price="100"))
    traded.acknowledge()
    traded.fill("e1", 40, 50)
    request_cancel(order=submit(list_id="P-1", price="100"), actor="ann")  # never sent: holds nothing

    assert codes(submit(list_id="P-1", order_qty="220.01", price="100")) == {"PARENT_NOTIONAL_EXCEEDS_MAXIMUM"}
    assert codes(submit(list_id="P-1", order_qty="220", price="100")) == set()  # 40 at 50, 60 at 100, 220 at 100


def test_replace_counts_against_its_parent_without_itself():
    order = working(list_id="P-1", price="100")
    submit(list_id="P-1", price="100")
    limit(Control.MAX_CHILDREN_PER_PARENT, 2)
    limit(Control.MAX_NOTIONAL_PER_PARENT, 25_000)

    assert refusal(order, order_qty=Decimal("150.01")) == {"PARENT_NOTIONAL_EXCEEDS_MAXIMUM"}
    assert refusal(order, order_qty=Decimal(150)) == set()


def test_strategy_that_trades_too_often_is_switched_off_until_somebody_switches_it_on(wakings):
    limit(Control.MAX_REPEATED_EXECUTIONS, 2)
    for number in range(2):
        broker = Counterparty(submit(broker_name="alpaca", strategy="momentum"))
        broker.acknowledge()
        broker.fill(f"e{number}", 1, 182)

    other_side = submit(strategy="momentum", side="sell")
    tripping = submit(strategy="momentum")
    after = submit(strategy="momentum", symbol="BAC")

    assert codes(other_side) == set()
    assert codes(tripping) == {"REPEATED_EXECUTIONS"}
    assert codes(after) == {"RESTRICTED"}
    assert codes(submit(strategy="calm")) == set()
    row = Limit.objects.get(control=Control.RESTRICTED, scope=Scope.STRATEGY, scope_key="momentum")
    assert (row.set_by, row.reason) == (
        "system:throttle",
        "REPEATED_EXECUTIONS: IBM executed orders in an hour=3, max=2",
    )
    set_limits([LimitValue(Control.RESTRICTED, None, Scope.STRATEGY, "momentum")], actor="rita", reason="looked at it")
    Order.objects.update(created_at=timezone.now() - timedelta(minutes=61))
    assert codes(submit(strategy="momentum")) == set()


def replaced(broker: Counterparty, price) -> set[str]:
    """Ask for another price, which the broker takes; why it is denied, if it is."""
    denied = refusal(broker.order, price=Decimal(price))
    if not denied:
        broker.tell(ExecType.REPLACED, price=price, client_order_id=broker.order.requests.latest("pk").client_order_id)
    return denied


def test_replaces_of_an_order_that_has_traded_count_as_executions_and_switch_its_strategy_off():
    limit(Control.MAX_REPEATED_EXECUTIONS, 2)
    broker = Counterparty(submit(broker_name="alpaca", strategy="momentum"))
    broker.acknowledge()
    assert [replaced(broker, price) for price in (181, 180, 179)] == [set()] * 3  # nothing has traded yet
    broker.fill("e1", 1, 179)
    Order.objects.filter(pk=broker.pk).update(created_at=timezone.now() - timedelta(minutes=50))

    assert replaced(broker, 178) == set()
    assert replaced(broker, 177) == {"REPEATED_EXECUTIONS"}

    assert Limit.objects.filter(control=Control.RESTRICTED, scope_key="momentum").exists()
    assert broker.order.requests.filter(kind=RequestKind.REPLACE).count() == 4
    assert broker.order.risk_decisions.latest("pk").denials[0]["found"] == "3"


def test_replaces_of_an_old_order_that_still_works_count_as_executions_and_old_or_refused_ones_do_not():
    broker = Counterparty(submit(broker_name="alpaca", strategy="momentum"))
    broker.acknowledge()
    broker.fill("e1", 1, 182)
    replaced(broker, 181), replaced(broker, 180)
    Order.objects.update(created_at=timezone.now() - timedelta(minutes=61))
    limit(Control.MAX_REPEATED_EXECUTIONS, 2)

    assert codes(submit(strategy="momentum", side="sell")) == set()
    assert replaced(broker, 179) == {"REPEATED_EXECUTIONS"}
    set_limits([LimitValue(Control.RESTRICTED, None, Scope.STRATEGY, "momentum")], actor="rita", reason="looked at it")
    first, second = broker.order.requests.filter(kind=RequestKind.REPLACE)
    OrderRequest.objects.filter(pk=first.pk).update(queued_at=timezone.now() - timedelta(minutes=61))
    assert codes(submit(strategy="momentum")) == set()
    OrderRequest.objects.filter(pk=second.pk).update(state=RequestState.REFUSED)
    assert replaced(broker, 179) == set()


def test_replaces_and_cancels_count_for_who_asked_for_them():
    ann, _ = (get_user_model().objects.create_user(name) for name in ("ann", "bob"))
    ticket = parse_ticket(LIMIT_BUY | {"broker_name": "alpaca"})
    order = Counterparty(submit_order(ticket=ticket, actor="ann", user=ann).order).acknowledge()
    limit(Control.MAX_MESSAGES_PER_MINUTE, 2, Scope.USER, "ann")
    limit(Control.MAX_MESSAGES_PER_MINUTE, 1, Scope.USER, "bob")

    request = request_replace(order=order, changes=Changes(price=Decimal(90)), actor="bob")
    Counterparty(order).refuse(request)
    with pytest.raises(ReplaceDenied) as denied:
        request_replace(order=order, changes=Changes(price=Decimal(91)), actor="bob")

    assert {one["scope"] for one in denied.value.denials} == {"user bob"}
    assert codes(submit_order(ticket=ticket, actor="ann", user=ann).order) == set()
    assert codes(submit_order(ticket=ticket, actor="ann", user=ann).order) == {"MESSAGE_RATE_EXCEEDS_MAXIMUM"}


def test_soft_throttle_switches_nothing_off():
    limit(Control.MAX_REPEATED_EXECUTIONS, 0, hard=False)

    assert submit(strategy="momentum").status == OrdStatus.PENDING_APPROVAL
    assert not Limit.objects.filter(control=Control.RESTRICTED).exists()


def test_preview_of_a_tripping_order_switches_nothing_off():
    limit(Control.MAX_REPEATED_EXECUTIONS, 0)

    preview = preview_order(ticket=parse_ticket(LIMIT_BUY | {"strategy": "momentum"}), actor="ann")

    assert [denial["code"] for denial in preview.denials] == ["REPEATED_EXECUTIONS"]
    assert not Limit.objects.filter(control=Control.RESTRICTED).exists()


def test_exits_and_orders_of_others_are_neither_messages_nor_duplicates():
    submit(order_class="bracket", take_profit={"limit_price": "190"}, stop_loss={"stop_price": "170"}, order_qty="10")
    Order.objects.filter(order_qty=100).update(source=Order.Source.EXTERNAL)
    limit(Control.MAX_MESSAGES_PER_MINUTE, 2)
    limit(Control.DUPLICATE_WINDOW, 60)

    assert codes(submit(side="sell", order_qty="10", price="190")) == set()
    assert codes(submit()) == {"MESSAGE_RATE_EXCEEDS_MAXIMUM"}
