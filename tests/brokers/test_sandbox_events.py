"""The sandbox's activity events: replayed from a time or an id, ended on request, in the contract's shape."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import requests
from alpaca.trading.client import TradingClient

from tests.brokers.sandbox_contract import MISSING, contract_of
from tests.brokers.sandbox_process import SandboxProcess, start_sandbox
from tests.waiting import eventually

pytestmark = pytest.mark.slow

ACCOUNT = "alpaca_margin"
PATH = "/v2beta1/events/activities"
LONG_AGO = (datetime.now(UTC) - timedelta(days=1)).isoformat()
SOON = (datetime.now(UTC) + timedelta(days=1)).isoformat()


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory) -> Iterator[SandboxProcess]:
    """A sandbox with a fill, its correction and another fill."""
    with start_sandbox(tmp_path_factory.mktemp("sandbox"), speed=0) as sandbox:
        sandbox.admin.push_quote("IBM", "181.90", "182.00")
        first = buy(sandbox)
        (execution,) = sandbox.admin.record(ACCOUNT)["executions"]
        sandbox.admin.correct(execution["exec_id"], 10, "181")
        second = buy(sandbox)
        assert first != second
        yield sandbox


def buy(sandbox: SandboxProcess) -> str:
    trading = TradingClient(*sandbox.keys(ACCOUNT), url_override=sandbox.url, raw_data=True)
    order = {"symbol": "IBM", "side": "buy", "type": "market", "time_in_force": "day", "qty": "10"}
    placed = trading.post("/orders", order)
    eventually(lambda: trading.get_order_by_id(placed["id"])["status"] == "filled", "the fill")
    return placed["id"]


def ask(sandbox: SandboxProcess, **query: str) -> requests.Response:
    key, secret = sandbox.keys(ACCOUNT)
    headers = {"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret}
    return requests.get(sandbox.url + PATH, params=query, headers=headers, timeout=10)


def events(sandbox: SandboxProcess, **query: str) -> list[dict]:
    lines = ask(sandbox, **query).text.splitlines()
    return [json.loads(line.removeprefix("data:")) for line in lines if line.startswith("data:")]


def test_everything_since_a_time_is_replayed_in_order_and_ends(sandbox):
    fill, correction, second = events(sandbox, since=LONG_AGO, until=SOON)
    kinds = [event["details"]["execution_type"] for event in (fill, correction, second)]
    assert kinds == ["fill", "trade_correct", "fill"]
    assert correction["previous_id"] == fill["ref_id"]
    assert (fill["price"], correction["price"], fill["details"]["cum_qty"]) == ("182", "181", "10")
    assert fill["event_id"] < correction["event_id"] < second["event_id"]


def test_replay_goes_on_after_an_id(sandbox):
    everything = events(sandbox, since=LONG_AGO, until=SOON)
    rest = events(sandbox, since_id=everything[0]["event_id"], until_id=everything[-1]["event_id"])
    assert rest == everything[1:]


def test_nothing_is_replayed_to_those_who_do_not_ask_for_it(sandbox):
    assert events(sandbox, since=SOON, until=SOON) == []


@pytest.mark.parametrize("query", [{"until": SOON}, {"until_id": "0"}, {"since": LONG_AGO, "since_id": "0"}])
def test_ends_without_beginnings_are_refused(sandbox, query):
    assert ask(sandbox, **query).status_code == 422


def test_wrong_keys_get_no_events(sandbox):
    headers = {"APCA-API-KEY-ID": "no", "APCA-API-SECRET-KEY": "no"}
    assert requests.get(sandbox.url + PATH, headers=headers, timeout=10).status_code == 403


@pytest.mark.skipif(MISSING is not None, reason=str(MISSING))
def test_events_have_the_contracts_shape(sandbox):
    contract = contract_of(PATH)
    schemas = f"{contract.uri}#/components/schemas"
    for event in events(sandbox, since=LONG_AGO, until=SOON):
        assert contract.errors({"$ref": f"{schemas}/ActivityEventV2CommonFields"}, event) == []
        assert contract.errors({"$ref": f"{schemas}/ActivityV2DetailTRD"}, event["details"]) == []
