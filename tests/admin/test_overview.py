"""The overview: the desk's figures in a constant number of queries, each part for those who may see it."""

from decimal import Decimal

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from analytics.dashboard import overview_for
from brokers.models import Instrument
from risk.halts import halt
from risk.models import ExchangeRate
from tests import factories
from tests.admin import rows
from tests.admin.conftest import signed_in

INDEX = reverse("admin:index")


def everything(permission: str) -> bool:
    return True


def test_figures_are_the_tables(desk):
    rows.submitted(order_qty="100", price="182.40")
    factories.OrderFactory(status="filled")
    factories.OrderFactory(status="pending", outcome_unknown_since=timezone.now())
    factories.ExecutionFactory(last_qty=Decimal(3), last_px=Decimal(10), transact_time=timezone.now())
    factories.ExecutionFactory()
    overview = overview_for(everything)
    assert overview.total["portfolio_value"] == 2_000_000
    assert [line.share for line in overview.accounts] == [Decimal("0.5"), Decimal("0.5")]
    assert (overview.orders["open"], overview.orders["in_doubt"]) == (4, 1)
    assert (overview.fills["count"], overview.fills["value"], sum(overview.fills["hours"])) == (1, 30, 1)
    firm, *accounts = overview.usages
    assert (firm.used, firm.limit) == (Decimal("18240"), Decimal(5_000_000))
    assert [usage.limit for usage in accounts] == [Decimal(1_600_000)] * 2
    assert sum(usage.used for usage in accounts) == firm.used


def in_euros(account, value: int) -> None:
    """Put an account into euros, worth two dollars each."""
    account.currency, account.portfolio_value = "EUR", Decimal(value)
    account.save()
    told = {"base_currency": "USD", "rate": Decimal(2), "told_at": timezone.now(), "source": "test"}
    ExchangeRate.objects.create(currency="EUR", **told)


def test_account_in_another_currency_counts_at_its_rate(desk, superuser):
    in_euros(desk[1], 1_500_000)
    factories.ExecutionFactory(last_qty=Decimal(3), last_px=Decimal(10), transact_time=timezone.now())
    Instrument.objects.update(currency="EUR")
    overview = overview_for(everything)
    assert overview.total["portfolio_value"] == 4_000_000
    assert [line.share for line in overview.accounts[:2]] == [Decimal("0.25"), Decimal("0.75")]
    assert (overview.fills["count"], overview.fills["value"]) == (1, 60)
    assert overview.usages[1].limit == 3_200_000
    assert "USD, over all enabled accounts" in superuser.get(INDEX).content.decode()


def test_sum_without_a_rate_is_unknown_and_says_why(desk, superuser):
    in_euros(desk[1], 1_500_000)
    ExchangeRate.objects.all().delete()
    overview = overview_for(everything)
    assert overview.total["portfolio_value"] is None
    assert [line.share for line in overview.accounts] == [None, None]
    assert overview.usages[1].unknown
    body = " ".join(superuser.get(INDEX).content.decode().split())
    assert "<strong>unknown</strong><span>no exchange rate for EUR</span>" in body
    assert "2,500,000" not in body


def test_disabled_account_counts_for_nothing(desk):
    account = desk[1]
    account.enabled = False
    account.save()
    overview = overview_for(everything)
    assert overview.total["portfolio_value"] == 1_000_000
    assert [line.share for line in overview.accounts] == [1, None]


def test_queries_do_not_grow_with_the_desk(desk, superuser):
    superuser.get(INDEX)
    with CaptureQueriesContext(connection) as few:
        superuser.get(INDEX)
    for number in range(2, 8):
        rows.order_with_history(number, rows=3)
        factories.trading_desk(f"alpaca_{number}")
    with CaptureQueriesContext(connection) as many:
        assert superuser.get(INDEX).status_code == 200
    assert len(few) == len(many) == 12


def test_empty_desk_has_an_overview(superuser):
    assert superuser.get(INDEX).status_code == 200


def test_halt_in_force_is_at_the_top(desk, admin_of):
    halt(scope="firm", reason="<b>news</b>", actor="someone")
    body = admin_of("viewer").get(INDEX).content.decode()
    assert "Trading is halted" in body
    assert "&lt;b&gt;news&lt;/b&gt;" in body


def test_each_part_and_each_entry_is_for_those_who_may_see_it(desk, admin_of):
    rows.submitted()
    viewer, auditor = (admin_of(group).get(INDEX).content.decode() for group in ("viewer", "auditor"))
    for body in (viewer, auditor):
        assert "Portfolio value" in body
        assert "Open orders" in body
        assert "New order" not in body
        assert "API tokens" not in body
    assert "Latest events" in auditor
    assert reverse("admin:tradingdesk_auditevent_changelist") in auditor
    assert "Latest events" not in viewer
    assert reverse("admin:tradingdesk_auditevent_changelist") not in viewer
    assert "New order" in admin_of("trader").get(INDEX).content.decode()


def test_person_without_permissions_sees_no_figure(desk):
    body = signed_in(factories.UserFactory(is_staff=True)).get(INDEX).content.decode()
    for word in ("Portfolio value", "Open orders", "Fills today", "Exposure and limits", "alpaca"):
        assert word not in body


def test_person_who_is_no_staff_is_asked_to_log_in(desk):
    assert signed_in(factories.UserFactory()).get(INDEX).status_code == 302


def test_icon_is_named_so_that_browsers_ask_for_no_other(superuser):
    assert 'rel="icon" href="/static/tradingdesk/favicon.svg"' in superuser.get(INDEX).content.decode()
