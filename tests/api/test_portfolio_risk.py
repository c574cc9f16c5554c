"""The portfolio's risk by the API: plain strings, what is missing, and a trade before it is an order."""

from decimal import Decimal

import pytest

from tests.api.test_schema import check
from tests.risk.portfolio.desk import account, holds, tell

pytestmark = pytest.mark.django_db
URL = "/api/v1/risk/portfolio/"
CLOSES = [100 + (number * 37 % 11) / 10 for number in range(200)]


@pytest.fixture
def book():
    account("alpaca", portfolio_value=100_000, equity=100_000, cash=82_000)
    account("ib", adapter="interactive_brokers", portfolio_value=50_000, equity=50_000, cash=60_000)
    holds("IBM", 100, 180, sector="Technology")
    holds("BAC", -1000, 10, "ib")
    tell("IBM", CLOSES)
    tell("BAC", CLOSES[::-1], "ib")


def test_report_is_told_whole(viewer, book):
    answer = viewer.get(URL)
    assert answer.status_code == 200
    told = answer.json()
    assert (told["base_currency"], told["total_value"], told["gross"], told["net"]) == (
        "USD",
        "150000",
        "28000",
        "8000",
    )
    assert (told["complete"], told["problems"]) == (True, [])
    measured = told["measured"]
    assert [one["tail"] for one in measured["losses"]] == ["0.05", "0.025", "0.01"]
    whole = Decimal(measured["losses"][0]["normal_var"])
    assert sum(Decimal(one["var"]) for one in measured["components"]) == pytest.approx(whole, abs=Decimal("0.02"))
    assert {one["name"] for one in measured["accounts"]} == {"alpaca", "ib"}
    assert measured["history"] | {"first": "", "last": ""} == {
        "days": 199,
        "first": "",
        "last": "",
        "coverage": "1",
        "covariance": "sample",
        "shrinkage": "0",
        "sources": {"IBM": "alpaca", "BAC": "ib"},
    }
    [pair] = measured["correlations"]["accounts"]
    assert (pair["first"], pair["second"], pair["same_broker"]) == ("alpaca", "ib", False)
    assert measured["trade"] is None


def test_concentrations_and_failures_are_told(viewer, book):
    told = viewer.get(URL).json()
    by = {one["by"]: one for one in told["concentrations"]}
    assert list(by) == ["symbol", "sector", "currency", "broker", "account"]
    assert by["broker"]["shares"] == [
        {"name": "alpaca", "share": "0.642857"},
        {"name": "interactive_brokers", "share": "0.357143"},
    ]
    assert by["sector"]["shares"][1]["name"] == "unclassified"
    assert (by["currency"]["herfindahl"], by["currency"]["effective_number"]) == ("1", "1")
    failure = next(one for one in told["failures"] if one["broker"] == "interactive_brokers")
    assert (failure["cash"], failure["positions"], failure["lost"]) == ("60000", "-10000", "0")


def test_a_trade_is_told_before_it_is_an_order(viewer, book):
    told = viewer.get(URL, {"symbol": "ibm", "side": "buy", "order_qty": "50", "tail": "0.01"}).json()
    trade = told["measured"]["trade"]
    assert trade["trade"] == {"symbol": "IBM", "side": "buy", "order_qty": "50"}
    assert trade["before"]["tail"] == told["measured"]["tail"] == "0.01"
    change = Decimal(trade["after"]["historical_es"]) - Decimal(trade["before"]["historical_es"])
    assert Decimal(trade["incremental"]["historical_es"]) == change > 0


def test_report_and_trade_are_as_the_schema_says(viewer, book):
    holds("XYZ", 5, 0)
    for query in ({}, {"symbol": "IBM", "side": "sell", "order_qty": "1"}):
        check(viewer.get(URL, query), "GET", URL)


def test_what_is_missing_is_told(viewer, book):
    holds("XYZ", 5, 0)
    told = viewer.get(URL).json()
    assert told["complete"] is False
    assert told["problems"] == [
        {
            "code": "MISSING_PRICE",
            "detail": "XYZ: 5 at alpaca: neither a quote nor a daily bar tells what it is worth",
            "symbol": "XYZ",
            "broker_name": "alpaca",
        }
    ]


def test_empty_desk_has_a_report(viewer):
    told = viewer.get(URL).json()
    assert (told["gross"], told["measured"], told["failures"]) == ("0", None, [])


@pytest.mark.parametrize(
    ("query", "code", "field"),
    [
        ({"tale": "0.05"}, "UNKNOWN_FILTER", "tale"),
        ({"tail": "five"}, "INVALID_NUMBER", "tail"),
        ({"tail": "NaN"}, "INVALID_NUMBER", "tail"),
        ({"tail": "0.5"}, "INVALID_TAIL", "tail"),
        ({"symbol": "IBM"}, "REQUIRED", "side"),
        ({"symbol": "IBM", "side": "buy"}, "REQUIRED", "order_qty"),
        ({"symbol": "IBM", "side": "hold", "order_qty": "1"}, "INVALID_CHOICE", "side"),
        ({"symbol": "IBM", "side": "buy", "order_qty": "-1"}, "OUT_OF_RANGE", "order_qty"),
        ({"symbol": "IBM", "side": "buy", "order_qty": "1e400"}, "OUT_OF_RANGE", "order_qty"),
        ({"symbol": "NOSUCH", "side": "buy", "order_qty": "1"}, "UNKNOWN_SYMBOL", "symbol"),
    ],
)
def test_a_wrong_question_is_told_with_its_field(viewer, book, query, code, field):
    answer = viewer.get(URL, query)
    assert answer.status_code == 400
    assert (answer.json()["code"], answer.json()["field"]) == (code, field)
