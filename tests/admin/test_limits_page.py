"""The limits page: use, who, when, why and history, by what each limit is about."""

from decimal import Decimal

import pytest
from django.urls import reverse

from risk.configuration import change_limits
from risk.limits import LimitValue
from risk.models import Control, Limit, Scope
from tests.admin import rows
from tests.admin.test_lists import queries_of

URL = reverse("admin:risk_limit_use")


@pytest.fixture
def viewer(desk, admin_of):
    return admin_of("viewer")


def text(answer) -> str:
    return " ".join(answer.content.decode().split())


def lines(answer, title: str) -> dict:
    return {row.limit.control: row for row in answer.context["groups"][title]}


def test_limits_stand_under_what_they_are_about_the_widest_first(viewer):
    values = [
        LimitValue(Control.MAX_ORDER_QTY, Decimal(5), Scope.SYMBOL, "IBM"),
        LimitValue(Control.MAX_ORDER_QTY, Decimal(7), Scope.ACCOUNT, "alpaca"),
    ]
    change_limits(values, actor="rita", reason="tight <b>week</b>")
    answer = viewer.get(URL)
    assert list(answer.context["groups"]) == ["Firm", "Account alpaca", "Symbol IBM"]
    row = lines(answer, "Account alpaca")["max_order_qty"]
    assert (row.value, row.found, row.limit.set_by) == ("7", "", "rita")
    assert [(past.changed_by, past.after) for past in row.past] == [("rita", 7)]
    assert "tight &lt;b&gt;week" in text(answer)


def test_use_is_told_in_the_limits_own_unit_with_a_bar(viewer):
    rows.submitted(order_qty="1000", broker_name="alpaca")
    answer = viewer.get(URL)
    firm = lines(answer, "Firm")
    assert (firm["portfolio_risk_limit"].found, firm["portfolio_risk_limit"].value) == ("182,000", "5,000,000")
    assert (firm["max_broker_allocation"].found, firm["max_broker_allocation"].value) == ("9.1\u00a0%", "80.0\u00a0%")
    assert 'aria-label="max_broker_allocation" aria-valuemin="0" aria-valuemax="100" aria-valuenow="11"' in text(answer)
    assert "with each order" in text(answer)


def test_soft_and_hard_limit_of_one_scope_have_a_line_a_bar_and_a_history_each(viewer):
    rows.submitted(order_qty="1000", broker_name="alpaca")
    soft = LimitValue(Control.PORTFOLIO_RISK_LIMIT, Decimal(200_000), hard=False)
    change_limits([soft], actor="rita", reason="look at it early")
    answer = viewer.get(URL)
    both = [row for row in answer.context["groups"]["Firm"] if row.limit.control == "portfolio_risk_limit"]
    assert [(row.limit.hard, row.value, row.use.percent) for row in both] == [
        (True, "5,000,000", 3),
        (False, "200,000", 91),
    ]
    assert [[past.changed_by for past in row.past] for row in both] == [[], ["rita"]]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (1, 'desk-bar desk-ok" role="meter" aria-label="min_broker_diversification"'),
        (3, 'desk-bar desk-bad" role="meter" aria-label="min_broker_diversification"'),
    ],
)
def test_floor_reads_the_right_way_round(viewer, wanted, said):
    change_limits([LimitValue(Control.MIN_BROKER_DIVERSIFICATION, Decimal(wanted))], actor="rita", reason="wider")
    body = text(viewer.get(URL))
    assert said in body
    assert ("<span>2</span><span>reached</span>" if wanted == 1 else "<span>2</span><span>too few</span>") in body
    assert "200.0" not in body


def test_desk_without_limits_is_told_what_that_means(viewer):
    Limit.objects.all().delete()
    assert "no limits configured means no trading" in text(viewer.get(URL)).lower()


def test_only_who_may_set_limits_is_led_to_it(viewer, admin_of):
    add = reverse("admin:risk_limit_add")
    assert add not in text(viewer.get(URL))
    assert add in text(admin_of("risk officer").get(URL))


def test_page_needs_permission(db, admin_of):
    assert admin_of().get(URL).status_code == 403


def test_queries_do_not_grow_with_limits_and_versions(viewer):
    first = queries_of(viewer, URL)
    for number in range(3):
        values = [LimitValue(Control.MAX_ORDER_QTY, Decimal(number + 1), Scope.SYMBOL, f"S{number}")]
        change_limits(values, actor="rita", reason="more")
    assert queries_of(viewer, URL) == first
