"""place_order and cancel_orders: what they print, and how they exit."""

import io

import pytest
from django.core.management import CommandError, call_command

from orders.models import Order, OrderRequest
from tests import factories
from tests.orders.soft import soft_limit
from tradingdesk.audit.models import AuditEvent
from tradingdesk.audit.people import operator
from tradingdesk.fix import OrdStatus, RequestKind

pytestmark = pytest.mark.django_db

LIMIT = ("IBM", "buy", "10", "--type", "limit", "--price", "182.40")


def run(*words: str) -> tuple[int, str, str]:
    """Run a command: exit code, stdout, and stderr with the closing error."""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command(*words, stdout=out, stderr=err)
    except CommandError as error:
        return error.returncode, out.getvalue(), f"{err.getvalue()}{error}"
    return 0, out.getvalue(), err.getvalue()


def test_order_is_placed_by_whoever_typed_it(desk):
    code, out, _ = run("place_order", *LIMIT, "--client-order-id", "mine", "--strategy", "s", "--broker", "alpaca")
    assert code == 0
    assert out == "mine pending, buy 10 IBM limit day at alpaca\n"
    order = Order.objects.get()
    assert (order.source, order.strategy, order.account_id) == ("command", "s", "alpaca")
    assert order.requests.get().kind == RequestKind.NEW
    assert operator() in set(AuditEvent.objects.filter(client_order_id="mine").values_list("actor", flat=True))


def test_same_order_again_is_not_placed_twice(desk):
    run("place_order", *LIMIT, "--client-order-id", "mine")
    code, out, _ = run("place_order", *LIMIT, "--client-order-id", "mine")
    assert (code, "already" in out) == (0, True)
    assert Order.objects.count() == 1


def test_other_order_under_the_same_id_fails(desk):
    run("place_order", *LIMIT, "--client-order-id", "mine")
    code, _, err = run("place_order", "IBM", "sell", "1", "--client-order-id", "mine")
    assert (code, err.partition(":")[0]) == (1, "DUPLICATE_CLIENT_ORDER_ID")


def test_denied_order_exits_1_with_the_reasons_on_stderr(desk):
    code, out, err = run("place_order", "IBM", "buy", "1001", "--client-order-id", "big")
    assert (code, out) == (1, "")
    assert "big is denied:\n  QUANTITY_EXCEEDS_MAXIMUM: order_qty=1001, max=1000 at alpaca" in err
    assert Order.objects.get().status == OrdStatus.DENIED


def test_order_that_has_to_be_approved_says_that_it_waits(desk):
    soft_limit(5)
    code, out, _ = run("place_order", *LIMIT, "--dry-run")
    assert (code, out.splitlines()[-1]) == (0, "would wait for another person's approval; nothing was stored or sent")
    code, out, _ = run("place_order", *LIMIT, "--client-order-id", "large", "--explain")
    assert (code, out.splitlines()[-1]) == (0, "large pending_approval, buy 10 IBM limit day at no broker yet")
    assert "warning: QUANTITY_EXCEEDS_MAXIMUM: order_qty=10, max=5" in out
    assert "routing: no account: not before it is approved" in out


def test_explanation_names_every_account_and_why(desk):
    code, out, _ = run("place_order", *LIMIT, "--explain")
    assert code == 0
    chosen = Order.objects.get().account_id
    assert "risk at alpaca: allowed" in out
    assert "risk at alpaca_margin: allowed" in out
    assert f"1. {chosen}: chosen" in out


def test_dry_run_tells_and_stores_nothing(desk):
    code, out, _ = run("place_order", *LIMIT, "--dry-run")
    assert code == 0
    assert "would be accepted; nothing was stored or sent" in out
    code, _, err = run("place_order", "IBM", "buy", "1001", "--dry-run")
    assert (code, "would be denied" in err) == (1, True)
    assert not Order.objects.exists()


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (("IBM", "hold", "1"), "side"),
        (("IBM", "buy", "ten"), "order_qty"),
        (("IBM", "buy", "-1"), "order_qty"),
        (("IBM", "buy"), "order_qty"),
        (("IBM", "buy", "1", "--notional", "5"), "order_qty"),
        (("IBM", "buy", "1", "--type", "limit"), "price"),
        (("IBM", "buy", "1", "--type", "trailing_stop"), "trail_price"),
        (("IBM", "buy", "1", "--tif", "soon"), "time_in_force"),
        (("NOSUCH", "buy", "1"), "symbol"),
        (("IBM", "buy", "1", "--broker", "nobody"), "broker_name"),
    ],
)
def test_what_is_no_order_exits_2_with_one_line_that_names_the_field(desk, words, field):
    code, out, err = run("place_order", *words)
    assert (code, out) == (2, "")
    assert err.startswith(f"{field}: ")
    assert "\n" not in err
    assert not Order.objects.exists()


def test_cancel_wants_to_know_which(desk):
    factories.OrderFactory()
    for words in ((), ("--broker", "nobody")):
        assert run("cancel_orders", *words)[0] == 2
    assert not OrderRequest.objects.exists()


def test_cancel_takes_the_orders_of_a_broker_or_symbol_and_leaves_the_rest(desk):
    for n, (broker, symbol) in enumerate([("alpaca", "IBM"), ("alpaca", "BAC"), ("alpaca_margin", "BAC")]):
        factories.OrderFactory(client_order_id=f"o{n}", account__broker_name=broker, instrument__symbol=symbol)
    factories.OrderFactory(client_order_id="done", status=OrdStatus.FILLED)

    assert run("cancel_orders", "--broker", "alpaca", "--symbol", "bac")[0] == 0
    assert _cancelled() == {"o1"}
    code, out, _ = run("cancel_orders", "--all", "--reason", "evening")
    assert (code, out.splitlines()[-1]) == (0, "cancels asked for: 3, not possible: 0")
    assert _cancelled() == {"o0", "o1", "o2"}


def test_order_that_was_never_sent_is_cancelled_at_once(desk):
    run("place_order", *LIMIT, "--client-order-id", "mine")
    code, out, _ = run("cancel_orders", "--symbol", "IBM")
    assert (code, "mine: cancelled, it was never sent" in out) == (0, True)
    assert Order.objects.get().status == OrdStatus.CANCELED


def _cancelled() -> set[str]:
    requests = OrderRequest.objects.filter(kind=RequestKind.CANCEL)
    return set(requests.values_list("order__client_order_id", flat=True))
