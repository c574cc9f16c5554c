"""Orders through a scripted TWS: what is an answer, what is a refusal, and what proves nothing."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from brokers.adapters.interactive_brokers import dialogue, tracker
from brokers.messages import NotSupported, OrderRefused, OutcomeUnknown, TryLater
from tests.waiting import eventually
from tradingdesk.fix import ExecType, OrdStatus, TimeInForce

from . import tws_messages as tws
from .ib_desk import ACCOUNT, PERM_ID, acknowledge, cancel, connected, desk, echo, limit_order, replacement

OURS = str(PERM_ID + 7)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch):
    monkeypatch.setattr(dialogue, "GRACE", 0.2)
    monkeypatch.setattr(tracker, "INACTIVE_GRACE", 0.2)


def answer_with(*messages):
    def answer(line, fields):
        for message in messages:
            line.send([field if field != "ID" else fields[1] for field in message])

    return answer


def test_order_is_acknowledged_under_its_perm_id_with_our_label():
    with desk() as made:
        wire_ref = made.adapter.next_wire_ref()
        assert wire_ref == "1:7"
        report = made.adapter.submit(limit_order(wire_ref=wire_ref))
        sent = tws.placed(made.tws.wait_for(tws.PLACE_ORDER))
    assert (report.exec_type, report.status) == (ExecType.NEW, OrdStatus.NEW)
    assert (report.broker_order_id, report.client_order_id) == (OURS, "c-1")
    assert (report.order_qty, report.price, report.time_in_force) == (10, Decimal("13.27"), TimeInForce.DAY)
    assert (sent["order_id"], sent["order_ref"], sent["account"]) == ("7", "c-1", ACCOUNT)
    assert (sent["quantity"], sent["lmt_price"], sent["order_type"]) == ("10", "13.27", "LMT")


def test_order_without_a_wire_ref_takes_the_next_id():
    with desk(start=False) as made:
        assert made.adapter.submit(limit_order()).broker_order_id == OURS


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (321, "Error validating request.-'bF' : cause - Invalid order type was entered"),
        (200, "No security definition has been found for the request"),
        (110, "The price does not conform to the minimum price variation for this contract."),
        (201, "Order rejected - reason:Insufficient funds"),
        (203, "The security is not available or allowed for this account"),
    ],
)
def test_refusal_is_told_in_ibs_words(code, text):
    with desk() as made:
        made.tws.on(tws.PLACE_ORDER, answer_with(tws.error("ID", code, text)))
        with pytest.raises(OrderRefused) as refused:
            made.submit()
    assert (refused.value.code, refused.value.text) == (str(code), f"{code}: {text}")
    assert not isinstance(refused.value, TryLater)
    assert made.told() == []


def test_rejection_after_inactive_is_a_refusal():
    with desk() as made:

        def reject(line, fields):
            echo(line, fields, "Inactive")
            line.send(tws.error(fields[1], 201, "Order rejected - reason:Margin"))

        made.tws.on(tws.PLACE_ORDER, reject)
        with pytest.raises(OrderRefused, match="201: Order rejected"):
            made.submit()
        assert made.wait_for(ExecType.REJECTED).broker_order_id == OURS


def test_used_order_id_is_to_be_tried_again_with_another():
    with desk() as made:
        made.tws.on(tws.PLACE_ORDER, answer_with(tws.error("ID", 103, "Duplicate order id")))
        with pytest.raises(TryLater, match="103"):
            made.submit()


@pytest.mark.parametrize("code", [399, 404, 2109, 10349])
def test_message_about_a_living_order_is_no_refusal(code):
    with desk() as made:

        def warn_then_take(line, fields):
            line.send(tws.error(fields[1], code, "BUY 10 AAPL will not be placed at the exchange until 09:30"))
            acknowledge(line, fields)

        made.tws.on(tws.PLACE_ORDER, warn_then_take)
        assert made.submit().status == OrdStatus.NEW


@pytest.mark.slow
def test_silence_is_unknown_and_the_late_refusal_is_told():
    with desk() as made:
        made.tws.on(tws.PLACE_ORDER, lambda line, fields: None)
        with pytest.raises(OutcomeUnknown, match="has not answered the order"):
            made.submit()
        made.tws.say(tws.error(7, 201, "Order rejected - reason:late"))
        rejected = made.wait_for(ExecType.REJECTED)
    assert (rejected.client_order_id, rejected.broker_order_id) == ("c-1", "")


@pytest.mark.slow
def test_only_a_status_without_perm_id_is_no_proof():
    with desk() as made:
        made.tws.on(tws.PLACE_ORDER, answer_with(tws.order_status("ID", "PendingSubmit", perm_id=0)))
        with pytest.raises(OutcomeUnknown):
            made.submit()


def test_connection_lost_after_the_send_is_unknown():
    with desk() as made:
        made.tws.on(tws.PLACE_ORDER, lambda line, fields: line.hang_up())
        with pytest.raises(OutcomeUnknown):
            made.submit()
        assert len(made.tws.of(tws.PLACE_ORDER)) == 1


def test_fill_or_kill_that_is_not_filled_is_cancelled():
    with desk() as made:
        made.tws.on(tws.PLACE_ORDER, lambda line, fields: echo(line, fields, "Inactive"))
        assert made.submit(time_in_force=TimeInForce.FOK).exec_type == ExecType.CANCELED


def test_inactive_without_a_reason_is_suspended_not_dead():
    with desk() as made:
        made.tws.on(tws.PLACE_ORDER, lambda line, fields: echo(line, fields, "Inactive"))
        assert made.submit().exec_type == ExecType.SUSPENDED
        assert made.wait_for(ExecType.SUSPENDED).status == OrdStatus.SUSPENDED


def test_what_cannot_be_put_to_ib_is_never_sent():
    with desk() as made:
        with pytest.raises(NotSupported, match="fractional"):
            made.submit(order_qty=Decimal("0.5"))
        assert made.tws.of(tws.PLACE_ORDER) == []


def test_an_order_id_is_sent_once():
    with desk() as made:
        wire_ref = made.adapter.next_wire_ref()
        made.adapter.submit(limit_order(wire_ref=wire_ref))
        with pytest.raises(TryLater, match="can be used no more"):
            made.adapter.submit(limit_order("c-2", wire_ref=wire_ref))
        with pytest.raises(TryLater, match="not an id of client 1"):
            made.adapter.submit(limit_order("c-2", wire_ref="2:8"))
        assert len(made.tws.of(tws.PLACE_ORDER)) == 1


def test_ids_reach_tws_in_rising_order_whoever_is_faster():
    with desk() as made, ThreadPoolExecutor(8) as pool:
        reports = list(pool.map(lambda number: made.submit(f"c-{number}"), range(40)))
        order_ids = [int(fields[1]) for fields in made.tws.of(tws.PLACE_ORDER)]
    assert order_ids == sorted(set(order_ids))
    assert len({report.broker_order_id for report in reports}) == 40
    assert sorted(report.client_order_id for report in reports) == sorted(f"c-{number}" for number in range(40))


def test_cancel_is_taken_when_tws_says_so():
    with desk() as made:
        made.submit()
        made.tws.on(tws.CANCEL_ORDER, answer_with(tws.order_status("", "PendingCancel", perm_id=OURS)))
        made.tws.on(tws.CANCEL_ORDER, lambda line, fields: line.send(
            tws.order_status(fields[2], "PendingCancel", perm_id=OURS, remaining=10)))  # fmt: skip
        made.adapter.cancel(cancel(OURS))
        made.wait_for(ExecType.PENDING_CANCEL)
        made.tws.say(tws.order_status(7, "Cancelled", perm_id=OURS, remaining=10), tws.error(7, 202, "Order Canceled"))
        assert made.wait_for(ExecType.CANCELED).leaves_qty == 0
    assert made.told().count(("canceled", "c-1")) == 1


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (10148, "OrderId 7 that needs to be cancelled cannot be cancelled, state: Filled."),
        (10147, "OrderId 7 that needs to be cancelled is not found."),
        (161, "Cancel attempted when order is not in a cancellable state."),
    ],
)
def test_cancel_that_came_too_late_is_refused(code, text):
    with desk() as made:
        made.submit()
        made.tws.on(tws.CANCEL_ORDER, lambda line, fields: line.send(tws.error(fields[2], code, text)))
        with pytest.raises(OrderRefused, match=str(code)):
            made.adapter.cancel(cancel(OURS))
    assert ("canceled", "c-1") not in made.told()


def test_late_word_that_a_cancel_failed_has_the_order_read_again():
    with desk() as made:
        made.submit()
        made.tws.on(tws.COMPLETED_ORDERS, lambda line, _: [
            line.send(tws.completed_order(perm_id=OURS, status="Filled", order_ref="c-1", filled=10,
                                          words="Filled Size: 10")),
            line.send(tws.completed_orders_end()),
        ])  # fmt: skip
        made.tws.say(tws.error(7, 10148, "cannot be cancelled, state: Filled."))
        made.heard.wait_until(lambda: any(fact.status == OrdStatus.FILLED for fact in made.heard.facts))
        report = made.wait_for(ExecType.ORDER_STATUS)
    assert (report.status, report.cum_qty, report.order_qty) == (OrdStatus.FILLED, 10, 10)


@pytest.mark.slow
def test_unanswered_cancel_is_unknown():
    with desk() as made:
        made.submit()
        with pytest.raises(OutcomeUnknown, match="the cancel"):
            made.adapter.cancel(cancel(OURS))


def test_order_of_another_client_is_found_and_cancelled_by_its_own_id():
    with desk() as made:
        theirs = tws.open_order(3, perm_id=55, client_id=9, order_ref="elsewhere", lmt_price=1)
        made.tws.on(tws.ALL_OPEN_ORDERS, answer_with(theirs, tws.open_order_end()))
        made.tws.on(tws.CANCEL_ORDER, lambda line, fields: line.send(
            tws.order_status(fields[2], "Cancelled", perm_id=55, client_id=1)))  # fmt: skip
        made.adapter.cancel(cancel("55"))
        canceled = made.wait_for(ExecType.CANCELED)
    assert made.tws.of(tws.CANCEL_ORDER)[0][2] == "3"
    assert (canceled.broker_order_id, canceled.client_order_id) == ("55", "elsewhere")


def test_order_placed_by_hand_is_seen_but_not_cancelled():
    with desk() as made:
        by_hand = tws.open_order(0, perm_id=66, client_id=0, lmt_price=1)
        made.tws.on(tws.ALL_OPEN_ORDERS, answer_with(by_hand, tws.open_order_end()))
        [report] = made.adapter.open_orders()
        assert (report.broker_order_id, report.client_order_id) == ("66", "")
        with pytest.raises(NotSupported, match="by hand"):
            made.adapter.cancel(cancel("66"))
        with pytest.raises(NotSupported, match="client id 0"):
            made.adapter.replace(replacement("66", price=Decimal(2)))
    assert made.tws.of(tws.CANCEL_ORDER) == []


def test_id_that_is_also_ours_is_not_cancelled_by_mistake():
    with desk() as made:
        made.submit()
        theirs = tws.open_order(7, perm_id=55, client_id=9, lmt_price=1)
        made.tws.on(tws.ALL_OPEN_ORDERS, answer_with(theirs, tws.open_order_end()))
        with pytest.raises(NotSupported, match="also one of ours"):
            made.adapter.cancel(cancel("55"))
    assert made.tws.of(tws.CANCEL_ORDER) == []


def test_change_goes_out_under_the_same_order_id():
    with desk() as made:
        made.submit()
        report = made.adapter.replace(replacement(OURS, price=Decimal("14.5")))
        first, second = (tws.placed(fields) for fields in made.tws.of(tws.PLACE_ORDER))
    assert (report.exec_type, report.broker_order_id, report.client_order_id) == (ExecType.REPLACED, OURS, "r-1")
    assert report.price == Decimal("14.5")
    assert (second["order_id"], second["lmt_price"], second["order_ref"]) == ("7", "14.5", "c-1")
    assert second["quantity"] == first["quantity"]
    assert ("restated", "c-1") not in made.told()


def test_order_that_arrived_twice_is_not_refused_by_the_word_that_it_cannot_be_changed():
    with desk() as made:

        def take_twice(line, fields):
            echo(line, fields, "Inactive")
            line.send(tws.error(fields[1], 105, "Order being modified does not match original order"))

        made.tws.on(tws.PLACE_ORDER, take_twice)
        report = made.submit(time_in_force=TimeInForce.FOK)
    assert (report.status, report.broker_order_id) == (OrdStatus.CANCELED, OURS)


def test_refused_change_leaves_the_order_as_it_was():
    with desk() as made:
        made.submit()
        made.tws.on(tws.PLACE_ORDER, answer_with(tws.error("ID", 104, "Cannot modify a filled order.")))
        with pytest.raises(OrderRefused, match="104"):
            made.adapter.replace(replacement(OURS, price=Decimal(15)))
        assert made.adapter.read_order(OURS) is None
    assert made.told() == [("new", "c-1")]


def fills_at_once(line, fields):
    """The change meets the market: TWS shows the order as asked, and has no moment to say that it works."""
    echo(line, fields, "Filled", filled=10, remaining=0, avg_px="15")


@pytest.mark.parametrize(("answer", "status"), [(acknowledge, OrdStatus.NEW), (fills_at_once, OrdStatus.FILLED)])
@pytest.mark.slow
def test_unanswered_change_is_unknown_and_told_when_it_shows(answer, status):
    with desk() as made:
        made.submit()
        made.tws.on(tws.PLACE_ORDER, lambda line, fields: None)
        with pytest.raises(OutcomeUnknown, match="the change"):
            made.adapter.replace(replacement(OURS, price=Decimal(15)))
        answer(made.tws.lines[-1], made.tws.of(tws.PLACE_ORDER)[-1])
        replaced = made.wait_for(ExecType.REPLACED)
    assert (replaced.client_order_id, replaced.price, replaced.status) == ("r-1", 15, status)


def test_change_that_fills_the_order_at_once_is_done():
    with desk() as made:
        made.submit()
        made.tws.on(tws.PLACE_ORDER, fills_at_once)
        report = made.adapter.replace(replacement(OURS, price=Decimal(15)))
    assert (report.exec_type, report.price, report.client_order_id) == (ExecType.REPLACED, 15, "r-1")
    assert report.status == OrdStatus.FILLED


@pytest.mark.slow
def test_change_that_never_reached_tws_is_not_taken_for_done_when_the_order_is_told_to_work():
    with desk() as made:
        made.submit()
        made.tws.on(tws.PLACE_ORDER, lambda line, fields: None)
        with pytest.raises(OutcomeUnknown, match="the change"):
            made.adapter.replace(replacement(OURS, price=Decimal(15)))
        made.tws.say(tws.order_status(7, "Submitted", perm_id=OURS, filled=3, remaining=7, avg_px="13.2"))
        made.tws.say(tws.order_status(7, "Cancelled", perm_id=OURS, filled=3, remaining=0, avg_px="13.2"))
        made.wait_for(ExecType.CANCELED)
    assert ("replaced", "r-1") not in made.told()


@pytest.mark.slow
def test_change_by_hand_beside_an_unanswered_one_is_told_as_restated():
    with desk() as made:
        made.submit()
        made.tws.on(tws.PLACE_ORDER, lambda line, fields: None)
        with pytest.raises(OutcomeUnknown, match="the change"):
            made.adapter.replace(replacement(OURS, price=Decimal(15)))
        made.tws.say(tws.open_order(7, perm_id=OURS, order_ref="c-1", lmt_price="12.5"))
        restated = made.wait_for(ExecType.RESTATED)
    assert (restated.price, restated.client_order_id) == (Decimal("12.5"), "c-1")
    assert ("replaced", "r-1") not in made.told()


def test_change_made_by_hand_is_told_as_restated():
    with desk() as made:
        made.tws.on(tws.PLACE_ORDER, lambda line, fields: echo(line, fields, "Submitted"))
        made.submit()
        made.tws.say(tws.open_order(7, perm_id=OURS, order_ref="c-1", lmt_price="12.5", quantity=8))
        restated = made.wait_for(ExecType.RESTATED)
    assert (restated.price, restated.order_qty, restated.client_order_id) == (Decimal("12.5"), 8, "c-1")


def test_orders_are_held_while_tws_is_cut_off():
    with desk() as made:
        made.tws.say(tws.error(-1, 1100, "Connectivity between IB and TWS has been lost."))
        made.heard.wait_until(lambda: made.heard.reasons)
        with pytest.raises(TryLater, match="cut off"):
            made.submit()
        with pytest.raises(OutcomeUnknown, match="cut off"):
            made.adapter.find_order("c-1")
        assert made.tws.of(tws.PLACE_ORDER) == []
        made.tws.say(tws.error(-1, 1102, "Connectivity has been restored - data maintained"))
        made.heard.wait_until(lambda: made.heard.connections == 2)
        assert made.submit().status == OrdStatus.NEW


def test_after_a_reconnect_ids_go_on_and_the_order_is_still_known():
    with desk() as made:
        made.submit()
        unsent = made.adapter.next_wire_ref()
        made.tws.hang_up()
        made.heard.wait_until(lambda: made.heard.connections == 2)
        with pytest.raises(TryLater, match="can be used no more"):
            made.adapter.submit(limit_order("c-2", wire_ref=unsent))
        eventually(lambda: len(made.tws.lines) == 2)
        assert int(made.adapter.next_wire_ref().partition(":")[2]) > int(unsent.partition(":")[2])
        made.tws.say(tws.order_status(7, "Cancelled", perm_id=OURS))
        assert made.wait_for(ExecType.CANCELED).client_order_id == "c-1"
        with pytest.raises(OrderRefused, match="Cancelled"):
            made.adapter.cancel(cancel(OURS))


def test_second_adapter_learns_ids_from_open_orders():
    with desk(start=False) as made, connected(made.tws, start=False) as other:
        made.submit()
        echoed = [made.tws.of(tws.PLACE_ORDER)[0]]
        made.tws.on(tws.ALL_OPEN_ORDERS, lambda line, _: [echo(line, echoed[0], "Submitted"),
                                                         line.send(tws.open_order_end())])  # fmt: skip
        assert [report.broker_order_id for report in other.adapter.open_orders()] == [OURS]
        assert other.adapter.next_wire_ref() == "1:8"
