"""What is read from a scripted TWS: complete, or unknown; never "none" for want of an answer."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from brokers.adapters.interactive_brokers import quotes as quotes_module
from brokers.messages import NotSupported, OutcomeUnknown
from tradingdesk.fix import AssetClass, ExecType, OrdStatus, Side

from . import tws_messages as tws
from .ib_desk import ACCOUNT, PERM_ID, desk, echo

FIRST, SECOND = "00025b46.63f8f39c.01.01", "00025b46.63f8f39c.01.02"


def give(*messages):
    """Answer with these; "ABOUT" stands for the request's id, which is the second or third field."""

    def answer(line, fields):
        about = fields[1] if fields[0] not in ("1", "7", "9", "62") else fields[2]
        for message in messages:
            line.send([about if field == "ABOUT" else field for field in message])

    return answer


@pytest.mark.parametrize("unanswered", [tws.ALL_OPEN_ORDERS, tws.COMPLETED_ORDERS, tws.EXECUTIONS])
def test_order_is_not_called_missing_unless_every_answer_was_complete(unanswered):
    with desk(settings={"request_timeout": 0.3}) as made:
        assert made.adapter.find_order("c-9") is None
        made.tws.on(unanswered, lambda line, fields: None)
        with pytest.raises(OutcomeUnknown, match="did not complete its answer"):
            made.adapter.find_order("c-9")


def test_order_that_ib_has_not_taken_yet_is_not_called_missing():
    with desk() as made:
        waiting = tws.open_order(7, perm_id=0, status="PendingSubmit", order_ref="c-9")
        made.tws.on(tws.ALL_OPEN_ORDERS, give(waiting, tws.open_order_end()))
        with pytest.raises(OutcomeUnknown, match="not taken it yet"):
            made.adapter.find_order("c-9")


def test_late_end_of_an_answer_is_not_taken_for_the_next_ones():
    with desk(settings={"request_timeout": 0.4}) as made:
        made.tws.on(tws.ALL_OPEN_ORDERS, lambda line, fields: None)
        with pytest.raises(OutcomeUnknown):
            made.adapter.open_orders()
        mine = tws.open_order(7, perm_id=99, order_ref="c-1", lmt_price=1)
        made.tws.on(tws.ALL_OPEN_ORDERS, give(tws.open_order_end(), mine, tws.open_order_end()))
        assert [report.client_order_id for report in made.adapter.open_orders()] == ["c-1"]
        assert len(made.tws.lines) == 1


def test_second_answer_that_stays_out_costs_the_connection():
    with desk(settings={"request_timeout": 0.2}) as made:
        made.tws.on(tws.ALL_OPEN_ORDERS, lambda line, fields: None)
        for _ in range(2):
            with pytest.raises(OutcomeUnknown):
                made.adapter.open_orders()
        made.heard.wait_until(lambda: made.heard.connections == 2)
        assert "does not answer when asked for open orders" in made.heard.reasons[0]


def test_open_order_is_found_by_its_label_with_what_has_filled():
    with desk() as made:
        made.tws.on(tws.ALL_OPEN_ORDERS, give(
            tws.open_order(3, perm_id=99, client_id=9, order_ref="c-1", lmt_price=2, quantity=10),
            tws.order_status(3, "Submitted", perm_id=99, client_id=9, filled=4, remaining=6, avg_px="1.5"),
            tws.open_order(4, perm_id=98, account="DU9999999"),
            tws.open_order_end(),
        ))  # fmt: skip
        found = made.adapter.find_order("c-1")
        assert made.adapter.read_order("99").client_order_id == "c-1"
        assert len(made.adapter.open_orders()) == 1
    assert (found.status, found.cum_qty, found.leaves_qty, found.avg_px) == (
        OrdStatus.PARTIALLY_FILLED, 4, 6, Decimal("1.5"))  # fmt: skip
    assert found.broker_order_id == "99"


@pytest.mark.parametrize(
    ("status", "words", "filled", "expected"),
    [
        ("Filled", "Filled Size: 100", 100, OrdStatus.FILLED),
        ("Filled", "Filled Size: 100", 2147483647, OrdStatus.FILLED),
        ("Cancelled", "Cancelled by Trader", 0, OrdStatus.CANCELED),
        ("Inactive", "Rejected by System: no permission", 0, OrdStatus.REJECTED),
    ],
)
def test_completed_order_is_found(status, words, filled, expected):
    with desk() as made:
        done = tws.completed_order(perm_id=99, status=status, order_ref="c-1", filled=filled, words=words)
        made.tws.on(tws.COMPLETED_ORDERS, give(done, tws.completed_orders_end()))
        found = made.adapter.find_order("c-1")
    assert (found.status, found.broker_order_id, found.leaves_qty, found.text) == (expected, "99", 0, words)
    assert found.cum_qty == (100 if expected == OrdStatus.FILLED else 0)
    assert found.transact_time == datetime(2026, 4, 15, 19, 7, 9, tzinfo=UTC)


def test_quantity_of_an_order_that_traded_in_part_and_was_cancelled_is_not_known():
    with desk() as made:
        done = tws.completed_order(perm_id=99, status="Cancelled", order_ref="c-1", quantity=11, filled=12)
        made.tws.on(tws.COMPLETED_ORDERS, give(done, tws.completed_orders_end()))
        found = made.adapter.find_order("c-1")
    assert (found.status, found.order_qty, found.cum_qty, found.leaves_qty) == (OrdStatus.CANCELED, None, 12, 0)


def test_executions_alone_prove_that_an_order_was_taken():
    with desk() as made:
        made.tws.on(tws.EXECUTIONS, give(
            tws.execution(FIRST, order_id=3, perm_id=99, shares=4, price="1.5", order_ref="c-1", about="ABOUT"),
            tws.executions_end("ABOUT"),
        ))  # fmt: skip
        found = made.adapter.find_order("c-1")
    assert (found.broker_order_id, found.cum_qty, found.status) == ("99", 4, OrdStatus.PARTIALLY_FILLED)


def test_executions_come_with_their_commissions_and_corrections():
    with desk() as made:
        made.tws.on(tws.EXECUTIONS, lambda line, fields: [line.send(message) for message in (
            tws.execution(SECOND, order_id=3, perm_id=99, shares=90, price="1.5", about=fields[2]),
            tws.execution(FIRST, order_id=3, perm_id=99, shares=100, price="1.5", about=fields[2]),
            tws.execution("a.b.c.01", order_id=4, perm_id=1, shares=1, price=1, about=fields[2], account="DU9"),
            tws.commission(FIRST, "1.0"),
            tws.executions_end(fields[2]),
        )])  # fmt: skip
        trade, correction = made.adapter.executions()
        onward = made.adapter.executions(after_id=FIRST)
        close = made.adapter.executions(after=datetime(2026, 4, 15, 19, 7, 30, tzinfo=UTC))
        after = made.adapter.executions(after=datetime(2026, 4, 16, tzinfo=UTC))
    assert (trade.exec_type, trade.exec_id, trade.last_qty, trade.commission) == (ExecType.TRADE, FIRST, 100, 1)
    assert (correction.exec_type, correction.exec_ref_id) == (ExecType.TRADE_CORRECT, FIRST)
    assert (correction.last_qty, correction.commission) == (90, None)
    assert (trade.side, trade.symbol, trade.broker_order_id) == (Side.BUY, "AAPL", "99")
    assert [one.exec_id for one in onward] == [FIRST, SECOND]
    assert [one.exec_id for one in close] == [FIRST, SECOND]
    assert [one.exec_id for one in after] == [SECOND]


def test_live_execution_waits_for_its_commission():
    with desk() as made:
        made.tws.say(tws.execution(FIRST, order_id=7, perm_id=99, shares=4, price="1.5"), tws.commission(FIRST, "0.35"))
        trade = made.wait_for(ExecType.TRADE)
    assert (trade.commission, trade.last_px, trade.cum_qty) == (Decimal("0.35"), Decimal("1.5"), 4)
    assert trade.raw.keys() == {"execDetails", "commissionReport"}


def test_commission_that_comes_too_late_corrects_the_execution():
    with desk(settings={"commission_wait": 0.05}) as made:
        made.tws.say(tws.execution(FIRST, order_id=7, perm_id=99, shares=4, price="1.5"))
        assert made.wait_for(ExecType.TRADE).commission is None
        made.tws.say(tws.commission(FIRST, "0.35"))
        late = made.wait_for(ExecType.TRADE_CORRECT)
    assert (late.exec_ref_id, late.commission, late.last_qty, late.last_px) == (
        FIRST, Decimal("0.35"), 4, Decimal("1.5"))  # fmt: skip
    assert late.exec_id not in (FIRST, SECOND)


def test_execution_read_before_its_commission_came_gets_it_all_the_same():
    with desk(settings={"commission_wait": 30}) as made:
        live = tws.execution(FIRST, order_id=7, perm_id=99, shares=4, price="1.5")
        made.tws.on(
            tws.EXECUTIONS,
            lambda line, fields: [
                line.send(live),
                line.send([*live[:1], fields[2], *live[2:]]),
                line.send(tws.executions_end(fields[2])),
            ],
        )
        [read] = made.adapter.executions()
        assert (read.exec_id, read.commission) == (FIRST, None)
        made.tws.say(tws.commission(FIRST, "0.35"))
        late = made.wait_for(ExecType.TRADE_CORRECT)
    assert (late.exec_ref_id, late.commission) == (FIRST, Decimal("0.35"))


def test_process_that_reads_for_the_first_time_is_given_the_whole_day_with_its_commissions():
    later, at = FIRST.replace("01", "07"), "20260415 {}:00:00 UTC".format
    with desk() as made:
        made.tws.on(tws.EXECUTIONS, lambda line, fields: [line.send(message) for message in (
            tws.execution(FIRST, order_id=3, perm_id=99, shares=1, price=1, about=fields[2], time=at(15)),
            tws.execution(later, order_id=3, perm_id=99, shares=1, price=1, about=fields[2], time=at(16)),
            tws.commission(FIRST, "0.35"),
            tws.executions_end(fields[2]),
        )])  # fmt: skip
        first = made.adapter.executions(after_id=later)
        second = made.adapter.executions(after_id=f"{later}+commission")
    assert [(one.exec_id, one.commission) for one in first] == [(FIRST, Decimal("0.35")), (later, None)]
    assert [one.exec_id for one in second] == [later]


def test_live_correction_and_bust_name_what_they_change():
    with desk(settings={"commission_wait": 0.05}) as made:
        made.tws.say(tws.execution(FIRST, order_id=7, perm_id=99, shares=4, price="1.5"), tws.commission(FIRST, 1))
        made.tws.say(tws.execution(SECOND, order_id=7, perm_id=99, shares=3, price="1.5"), tws.commission(SECOND, 1))
        correct = made.wait_for(ExecType.TRADE_CORRECT)
        made.tws.say(tws.execution(SECOND[:-1] + "3", order_id=7, perm_id=99, shares=0, price="1.5", cum_qty=0))
        bust = made.wait_for(ExecType.TRADE_CANCEL)
    assert (correct.exec_id, correct.exec_ref_id, correct.last_qty) == (SECOND, FIRST, 3)
    assert bust.exec_ref_id == SECOND


def test_execution_that_is_said_twice_is_told_once():
    with desk() as made:
        message = tws.execution(FIRST, order_id=7, perm_id=99, shares=4, price="1.5")
        made.tws.say(message, tws.commission(FIRST, 1), message, tws.commission(FIRST, 1))
        made.tws.say(tws.order_status(7, "Filled", perm_id=99, filled=4, avg_px="1.5"))
        made.wait_for(ExecType.ORDER_STATUS)
    assert made.told().count(("trade", "")) == 1


def test_execution_waiting_for_its_commission_is_told_when_the_line_drops():
    with desk(settings={"commission_wait": 30}) as made:
        made.tws.say(tws.execution(FIRST, order_id=7, perm_id=99, shares=4, price="1.5"))
        made.tws.hang_up()
        assert made.wait_for(ExecType.TRADE).exec_id == FIRST


def test_message_that_cannot_be_read_spoils_the_answer_it_may_belong_to():
    with desk() as made:
        broken = tws.open_order(7, perm_id="many", order_ref="c-1")
        made.tws.on(tws.ALL_OPEN_ORDERS, give(broken, tws.open_order_end()))
        with pytest.raises(OutcomeUnknown, match="cannot be read"):
            made.adapter.open_orders()


def test_account_and_positions_are_those_of_our_account():
    with desk() as made:
        rows = [("NetLiquidation", "100500.25"), ("TotalCashValue", "20000"), ("BuyingPower", "400000.1")]
        made.tws.on(tws.ACCOUNT_SUMMARY, give(
            *(tws.account_summary("ABOUT", account, tag, value if account == ACCOUNT else "1")
              for account in (ACCOUNT, "DU9") for tag, value in rows),
            tws.account_summary_end("ABOUT"),
        ))  # fmt: skip
        made.tws.on(tws.POSITIONS, give(
            tws.position(ACCOUNT, "AAPL", 10, "256.1"), tws.position(ACCOUNT, "BRK B", -2, "400.5"),
            tws.position(ACCOUNT, "YW", 1, "6384.43", sec_type="FUT", multiplier="1000", local_symbol="XWZ6"),
            tws.position("DU9", "MSFT", 1, 1), tws.position_end(),
        ))  # fmt: skip
        state, held = made.adapter.account(), made.adapter.positions()
        made.tws.wait_for(63)
        made.tws.wait_for(64)
    assert (state.account_id, state.currency, state.cash) == (ACCOUNT, "USD", 20000)
    assert (state.equity, state.buying_power) == (Decimal("100500.25"), Decimal("400000.1"))
    assert [(one.symbol, one.qty, one.avg_px) for one in held] == [
        ("AAPL", 10, Decimal("256.1")), ("BRK.B", -2, Decimal("400.5")), ("XWZ6", 1, Decimal("6.38443"))]  # fmt: skip


def test_margins_and_the_rates_of_the_accounts_currencies_are_read():
    rows = [("NetLiquidation", "100", "EUR"), ("TotalCashValue", "20", "EUR"), ("BuyingPower", "400", "EUR"),
            ("InitMarginReq", "60.5", "EUR"), ("MaintMarginReq", "40", "EUR"),
            ("ExchangeRate", "1.00", "BASE"), ("ExchangeRate", "1.00", "EUR"), ("ExchangeRate", "0.8612", "USD"),
            ("ExchangeRate", "0.0057", "JPY"), ("CashBalance", "20", "BASE")]  # fmt: skip
    with desk() as made:
        made.tws.on(tws.ACCOUNT_SUMMARY, give(
            *(tws.account_summary("ABOUT", ACCOUNT, *row) for row in rows), tws.account_summary_end("ABOUT"),
        ))  # fmt: skip
        state = made.adapter.account()
    assert (state.initial_margin, state.maintenance_margin) == (Decimal("60.5"), 40)
    assert state.exchange_rates == {"EUR": 1, "USD": Decimal("0.8612"), "JPY": Decimal("0.0057")}


def test_account_without_its_figures_is_unknown():
    with desk() as made:
        made.tws.on(tws.ACCOUNT_SUMMARY, give(tws.account_summary_end("ABOUT")))
        with pytest.raises(OutcomeUnknown, match="NetLiquidation"):
            made.adapter.account()


def test_instruments_are_those_that_ib_knows():
    with desk(settings={"symbols": ["AAPL"]}) as made:

        def details(line, fields):
            if fields[4] == "AAPL":
                line.send(tws.contract_details(fields[2], "AAPL"))
                line.send(tws.contract_details_end(fields[2]))
            else:
                line.send(tws.error(fields[2], 200, "No security definition has been found for the request"))

        made.tws.on(tws.CONTRACT_DETAILS, lambda line, fields: details(line, fields))
        [apple] = made.adapter.instruments(["AAPL", "NOSUCH"])
        assert made.adapter.instruments() == [apple]
        made.submit()
        assert tws.placed(made.tws.wait_for(tws.PLACE_ORDER))["con_id"] == "265598"
    assert (apple.symbol, apple.broker_instrument_id, apple.asset_class) == ("AAPL", "265598", AssetClass.US_EQUITY)
    assert (apple.name, apple.exchange, apple.fractionable) == ("APPLE INC", "NASDAQ", False)


@pytest.mark.parametrize(("symbols", "words"), [([], "name what the desk may trade"), (["NOSUCH"], "none of NOSUCH")])
def test_account_that_would_trade_nothing_gets_no_answer_that_looks_good(symbols, words):
    with desk(settings={"symbols": symbols}) as made:
        unknown = tws.error("ABOUT", 200, "No security definition has been found for the request")
        made.tws.on(tws.CONTRACT_DETAILS, give(unknown))
        with pytest.raises(NotSupported, match=words):
            made.adapter.instruments()


def test_clock_is_tws_time_and_the_hours_of_a_stock():
    with desk() as made:
        made.tws.on(tws.CONTRACT_DETAILS, give(
            tws.contract_details("ABOUT", "SPY", hours="20260415:0930-20260415:1600;20260416:0930-20260416:1600"),
            tws.contract_details_end("ABOUT"),
        ))  # fmt: skip
        clock = made.adapter.clock()
    assert clock.timestamp == datetime.fromtimestamp(1776270551, UTC)
    assert clock.is_open
    assert clock.next_close == datetime(2026, 4, 15, 20, 0, tzinfo=UTC)


def test_quote_is_read_and_its_line_given_back():
    with desk() as made:
        made.tws.on(
            tws.MARKET_DATA, give(tws.tick_price("ABOUT", 1, "13.25", 300), tws.tick_price("ABOUT", 2, "13.27", 100))
        )
        [quote] = made.adapter.quotes(["AAPL"])
        made.tws.wait_for(tws.CANCEL_MARKET_DATA)
    assert (quote.symbol, quote.bid_px, quote.bid_size) == ("AAPL", Decimal("13.25"), 300)
    assert (quote.ask_px, quote.ask_size, quote.feed) == (Decimal("13.27"), 100, "live")


@pytest.mark.parametrize("code", [354, 10089, 10197])
def test_no_permission_is_no_quote_and_says_why(code, caplog):
    with desk() as made:
        made.tws.on(tws.MARKET_DATA, give(tws.error("ABOUT", code, "Requested market data is not subscribed.")))
        assert made.adapter.quotes(["AAPL"]) == []
    assert f"no quote of AAPL at Interactive Brokers: {code}: Requested market data" in caplog.text


def test_no_price_at_all_is_no_quote(monkeypatch):
    monkeypatch.setattr(quotes_module, "FIRST_PRICE", 0.1)
    with desk() as made:
        made.tws.on(tws.MARKET_DATA, give(tws.tick_price("ABOUT", 1, "-1", 0)))
        assert made.adapter.quotes(["AAPL"]) == []


def test_watched_quotes_are_told_and_asked_for_again_after_a_reconnect():
    with desk() as made:
        made.tws.on(
            tws.MARKET_DATA, give(tws.tick_price("ABOUT", 1, "13.25", 300), tws.tick_price("ABOUT", 2, "13.27", 1))
        )
        made.adapter.watch_quotes(["AAPL"])
        made.heard.wait_until(lambda: made.heard.quotes)
        assert made.heard.quotes[-1].ask_px == Decimal("13.27")
        made.tws.hang_up()
        made.tws.wait_for(tws.MARKET_DATA, 2)
        made.adapter.watch_quotes([])
        made.tws.wait_for(tws.CANCEL_MARKET_DATA)


def test_delayed_quotes_are_of_a_quarter_of_an_hour_ago():
    with desk(settings={"market_data": "delayed"}) as made:
        made.tws.on(
            tws.MARKET_DATA, give(tws.tick_price("ABOUT", 66, "13.25", 3), tws.tick_price("ABOUT", 67, "13.27", 1))
        )
        [quote] = made.adapter.quotes(["AAPL"])
        assert made.tws.of(59)[0][2] == "3"
    assert (datetime.now(UTC) - quote.quote_time).total_seconds() >= 900
    assert quote.feed == "delayed"


def test_filled_before_its_execution_is_no_trade():
    with desk() as made:
        made.tws.on(tws.PLACE_ORDER, lambda line, fields: echo(line, fields, "Submitted"))
        made.submit()
        made.tws.say(tws.order_status(7, "Filled", perm_id=PERM_ID + 7, filled=10, avg_px="13.2"))
        filled = made.wait_for(ExecType.ORDER_STATUS)
        assert (filled.status, filled.cum_qty, filled.exec_id) == (OrdStatus.FILLED, 10, None)
        made.adapter.open_orders()
    assert ("trade", "c-1") not in made.told()
