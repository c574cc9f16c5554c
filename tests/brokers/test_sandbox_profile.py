"""The sandbox's profile, and the file that it keeps."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from decimal import Decimal as D
from pathlib import Path

import pytest

from brokers.sandbox.accounts import ProfileError, load_profile, stable_id
from brokers.sandbox.alpaca.limits import RateLimit
from brokers.sandbox.faults import Call, Fault, FaultOdds, Mischief
from brokers.sandbox.storage import Store
from tests.brokers.sandbox_market import MARGIN, Market
from tests.brokers.sandbox_process import DEFAULT_PROFILE

ACCOUNT = "accounts: {one: {api_key: K, secret_key: S%s}}"


TWS_TWICE = "accounts: {a: {kind: interactive_brokers}, b: {kind: interactive_brokers}}"


def profile(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "profile.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_delivered_profile_has_two_accounts_that_differ():
    accounts = load_profile(DEFAULT_PROFILE).accounts
    assert set(accounts) >= {"alpaca", "alpaca_margin"}
    cash, margin = accounts["alpaca"].rules(), accounts["alpaca_margin"].rules()
    assert (cash.multiplier, cash.shorting, cash.fee_per_share) == (1, False, 0)
    assert (margin.multiplier, margin.shorting, margin.fee_per_share) == (4, True, D("0.005"))
    assert accounts["alpaca"].latency_ms != accounts["alpaca_margin"].latency_ms


def test_secret_is_not_shown_with_the_profile():
    account = load_profile(DEFAULT_PROFILE).accounts["alpaca"]
    assert account.secret_key.get_secret_value() not in repr(account)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("accounts: {}", "accounts: Dictionary should have at least 1 item"),
        (ACCOUNT % ", multiplier: 9", "accounts.one.multiplier: Input should be less than or equal to 4"),
        (ACCOUNT % ", colour: red", "accounts.one.colour: Extra inputs are not permitted"),
        (ACCOUNT % ", partial_fill_probability: 2", "accounts.one.partial_fill_probability: "),
        (ACCOUNT % ", faults: {explode: 1}", "accounts.one.faults.explode: "),
        (
            "accounts: {one: {api_key: K}}",
            "accounts.one: Value error, an account at Alpaca needs api_key and secret_key",
        ),
        (TWS_TWICE, "two accounts have the same account_id"),
        ("accounts: {a: {api_key: K, secret_key: S}, b: {api_key: K, secret_key: T}}", "two accounts have the same"),
        ("accounts: [", "while parsing a flow node"),
        ("hello", "file: Input should be a valid dictionary"),
    ],
)
def test_wrong_profile_is_refused_in_one_line_that_names_the_place(tmp_path, text, said):
    with pytest.raises(ProfileError) as refused:
        load_profile(profile(tmp_path, text))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_missing_profile_is_named(tmp_path):
    with pytest.raises(ProfileError, match=r"nowhere\.yaml: No such file"):
        load_profile(tmp_path / "nowhere.yaml")


def test_ids_of_assets_are_the_same_in_every_run():
    assert stable_id("asset", "IBM") == stable_id("asset", "IBM") != stable_id("asset", "BAC")


def test_orders_and_executions_come_back_as_they_were_stored(tmp_path):
    market = Market(two=MARGIN)
    market.quote("181.90", "182.00", ask_size=60)
    market.order("buy", "100.5")
    market.order("buy", notional=1000, account="two")
    market.order("sell", 1, "trailing_stop", trail_percent="2.5")
    market.replace(market.order("buy", 5, "limit", price="180.01", tif="gtc", client_order_id="x"), order_qty=6)
    store = Store(tmp_path / "file.sqlite3")
    for order in market.engine.orders.values():
        store.keep(order)
    for execution in market.engine.executions.values():
        store.add(execution)
    store.close()

    again = Store(tmp_path / "file.sqlite3")
    assert list(again.orders()) == sorted(market.engine.orders.values(), key=lambda order: order.seq)
    assert list(again.executions()) == list(market.engine.executions.values())


def test_journal_only_grows(tmp_path):
    store = Store(tmp_path / "file.sqlite3")
    store.note(
        datetime(2026, 1, 5, tzinfo=UTC), "request", "one", client_order_id="x", operation="new_order", qty=D("1.5")
    )
    store.commit()
    (line,) = store.journal(kind="request", client_order_id="x")
    assert (line["account"], line["detail"]) == ("one", {"operation": "new_order", "qty": "1.5"})
    assert store.journal(after=line["seq"]) == store.journal(kind="other") == []
    for statement in ("DELETE FROM journal", "UPDATE journal SET kind = 'other'"):
        with pytest.raises(sqlite3.IntegrityError, match="only grows"):
            store.connection.execute(statement)


def test_rate_limit_counts_by_calendar_minute():
    limit = RateLimit(2)
    assert [limit.count(120.0 + n)["X-RateLimit-Remaining"] for n in range(3)] == ["1", "0", "0"]
    assert limit.exceeded
    headers = limit.count(180.0)
    assert (headers["X-RateLimit-Remaining"], headers["X-RateLimit-Reset"]) == ("1", "240")
    assert not limit.exceeded


def test_ordered_fault_is_spent_on_the_calls_that_match_it_in_order_of_giving():
    mischief = Mischief({})
    mischief.faults += [Fault(operation="new_order", action="drop"), Fault(account="one", action="delay", times=2)]
    calls = [
        Call("two", "account"),
        Call("one", "new_order"),
        Call("one", "new_order"),
        Call("one", "clock"),
        Call("one", "clock"),
    ]
    assert [fault and fault.action for fault in map(mischief.fault_for, calls)] == [
        None,
        "drop",
        "delay",
        "delay",
        None,
    ]


def test_faults_by_chance_come_as_often_as_the_profile_says_and_alike_for_a_seed():
    def drawn(seed: int) -> list[str]:
        mischief = Mischief({"one": FaultOdds(drop_before=0.25, error_429=0.25)}, seed)
        faults = [mischief.fault_for(Call("one", "new_order")) for _ in range(1000)]
        return [f"{fault.action} {fault.when} {fault.status}" if fault else "" for fault in faults]

    assert drawn(1) == drawn(1) != drawn(2)
    assert 450 < drawn(1).count("") < 550
    assert set(drawn(1)) == {"", "drop before 500", "error before 429"}
