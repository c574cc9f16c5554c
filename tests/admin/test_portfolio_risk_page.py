"""The page of the portfolio's risk: figures, what is missing, and a trade that is only thought of."""

import pytest
from django.urls import reverse

from tests.risk.portfolio.desk import holds, tell

URL = reverse("admin:risk_portfolio")
CLOSES = [100 + (number * 37 % 11) / 10 for number in range(200)]


@pytest.fixture
def viewer(desk, admin_of):
    return admin_of("viewer")


@pytest.fixture
def book(desk):
    holds("IBM", 100, 180)
    holds("BAC", -1000, 10, "alpaca_margin")
    tell("IBM", CLOSES)
    tell("BAC", CLOSES[::-1], "alpaca_margin")


def text(answer) -> str:
    return " ".join(answer.content.decode().split())


def test_figures_are_shown(viewer, book):
    answer = viewer.get(URL)
    report = answer.context["report"]
    assert answer.status_code == 200
    assert f"{report.measured.losses[0].historical_var:,.2f}" in text(answer)
    assert "alpaca and alpaca_margin</td><td>same broker" in text(answer)
    assert "Not everything is counted" not in text(answer)


def test_empty_desk_says_so(viewer):
    assert "Nothing is held." in text(viewer.get(URL))


def test_what_is_missing_stands_at_the_top(viewer, book):
    holds("XYZ<b>", 5, 0)
    page = text(viewer.get(URL))
    assert "Not everything is counted" in page
    assert "<strong>MISSING_PRICE</strong>XYZ&lt;b&gt;: 5 at alpaca" in page


def test_a_trade_is_shown_before_after_and_the_difference(viewer, book):
    answer = viewer.get(URL, {"symbol": "ibm", "side": "buy", "order_qty": "50", "tail": ""})
    assert answer.context["report"].measured.trade.trade.symbol == "IBM"
    assert "buy 50 IBM" in text(answer)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"symbol": "IBM"}, "side"),
        ({"tail": "2"}, "tail"),
        ({"symbol": "IBM", "side": "buy", "order_qty": "x"}, "order_qty"),
        ({"symbol": "NOSUCH", "side": "buy", "order_qty": "1"}, "symbol"),
    ],
)
def test_a_wrong_question_is_told_at_its_field_beside_the_report(viewer, book, asked, field):
    answer = viewer.get(URL, asked)
    assert answer.status_code == 200
    assert list(answer.context["form"].errors) == [field]
    assert answer.context["report"].measured is not None


def test_who_may_not_see_exposure_may_not_see_its_risk(admin_of, desk):
    assert admin_of().get(URL).status_code == 403
