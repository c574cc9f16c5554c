"""Limits and halts change through their stage functions only, with a reason and the right permission."""

from decimal import Decimal

import pytest
from django.urls import reverse

from risk.halts import halt
from risk.models import Control, Halt, Limit
from tests.admin import rows
from tradingdesk.audit.models import AuditEvent

ADD_LIMIT = reverse("admin:risk_limit_add")
ADD_HALT = reverse("admin:risk_halt_add")
SWITCH, FLATTEN = reverse("admin:risk_halt_switch"), reverse("admin:risk_halt_flatten")
RESTRICT = {
    "control": "restricted",
    "scope": "symbol",
    "scope_key": "IBM",
    "value": "1",
    "hard": "on",
    "reason": "news",
}


@pytest.fixture
def officer(desk, admin_of):
    return admin_of("risk officer")


def change_of(limit: Limit) -> str:
    return reverse("admin:risk_limit_change", args=[limit.pk])


def test_limit_is_set_with_who_and_why(officer):
    assert officer.post(ADD_LIMIT, RESTRICT).status_code == 302
    limit = Limit.objects.get(control="restricted")
    event = AuditEvent.objects.get(kind="limit.changed", symbol="IBM")
    assert (limit.scope_key, limit.reason, limit.set_by) == ("IBM", "news", event.actor)
    assert event.actor.startswith("person-")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"reason": ""}, "reason"),
        ({"reason": "   "}, "reason"),
        ({"value": "-1"}, "value"),
        ({"value": "many"}, "value"),
        ({"control": "none"}, "control"),
        ({"scope": "firm"}, "scope"),
        ({"scope_key": "not a symbol"}, "scope_key"),
        ({"hard": ""}, "hard"),
    ],
)
def test_bad_limit_has_its_error_at_the_field_and_changes_nothing(officer, changes, field):
    answer = officer.post(ADD_LIMIT, RESTRICT | changes)
    assert answer.status_code == 200
    assert field in answer.context["form"].errors
    assert not Limit.objects.filter(control="restricted").exists()


def test_limit_is_changed_but_never_what_it_is_about(officer):
    limit = Limit.objects.get(control=Control.MAX_ORDER_QTY)
    data = {"value": "50", "hard": "on", "reason": "smaller", "control": "max_quote_age", "scope": "symbol"}
    assert officer.post(change_of(limit), data).status_code == 302
    limit.refresh_from_db()
    assert (limit.control, limit.scope, limit.value, limit.reason) == ("max_order_qty", "firm", Decimal(50), "smaller")


def test_limit_is_made_soft_and_the_hard_one_set_anew_beside_it(officer):
    about = {"control": "max_order_qty", "scope": "symbol", "scope_key": "IBM", "reason": "two steps"}
    officer.post(ADD_LIMIT, about | {"value": "80", "hard": "on"})
    limit = Limit.objects.get(scope="symbol")
    assert officer.post(change_of(limit), {"value": "70", "reason": "softer"}).status_code == 302
    assert officer.post(ADD_LIMIT, about | {"value": "100", "hard": "on"}).status_code == 302
    assert list(Limit.objects.filter(scope="symbol").values_list("value", "hard")) == [(100, True), (70, False)]

    soft = Limit.objects.get(scope="symbol", hard=False)
    answer = officer.post(change_of(soft), {"value": "90", "hard": "on", "reason": "harder"})
    assert "there is a hard one already" in answer.content.decode()
    assert Limit.objects.filter(scope="symbol").count() == 2
    remove = reverse("admin:risk_limit_remove", args=[soft.pk])
    assert officer.post(remove, {"reason": "hard is enough"}).status_code == 302
    assert list(Limit.objects.filter(scope="symbol").values_list("value", "hard")) == [(100, True)]


def test_limit_is_removed_with_a_reason(officer):
    officer.post(ADD_LIMIT, RESTRICT)
    limit = Limit.objects.get(control="restricted")
    remove = reverse("admin:risk_limit_remove", args=[limit.pk])
    assert officer.post(remove, {"reason": ""}).status_code == 200
    assert Limit.objects.filter(pk=limit.pk).exists()
    assert officer.post(remove, {"reason": "no longer needed"}).status_code == 302
    assert not Limit.objects.filter(pk=limit.pk).exists()
    assert AuditEvent.objects.filter(kind="limit.changed", reason="no longer needed").count() == 1


def test_trader_may_look_at_limits_but_not_touch_them(desk, admin_of):
    trader = admin_of("trader")
    limit = Limit.objects.get(control=Control.MAX_ORDER_QTY)
    assert trader.get(change_of(limit)).status_code == 200
    assert trader.post(change_of(limit), {"value": "50", "hard": "on", "reason": "x"}).status_code == 403
    assert trader.post(ADD_LIMIT, RESTRICT).status_code == 403
    assert trader.post(reverse("admin:risk_limit_remove", args=[limit.pk]), {"reason": "x"}).status_code == 403
    limit.refresh_from_db()
    assert limit.value == 1000


def test_halt_and_resume_need_a_reason_each(officer):
    where = {"scope": "symbol", "scope_key": "IBM", "level": "freeze"}
    assert officer.post(ADD_HALT, where | {"reason": ""}).status_code == 200
    assert not Halt.objects.exists()
    assert officer.post(ADD_HALT, where | {"reason": "news"}).status_code == 302
    row = Halt.objects.get()
    url = reverse("admin:risk_halt_change", args=[row.pk])
    assert "Resume trading" in officer.get(url).content.decode()
    assert officer.post(url, {"reason": ""}).status_code == 200
    assert officer.post(url, {"reason": "over"}).status_code == 302
    row.refresh_from_db()
    assert (row.clear_reason, row.cleared_by) == ("over", row.set_by)
    assert list(AuditEvent.objects.filter(kind__startswith="kill.").values_list("kind", "reason").order_by("id")) == [
        ("kill.halt", "news"),
        ("kill.resume", "over"),
    ]


def test_cleared_halt_is_only_shown(officer):
    row = halt(scope="firm", reason="news", actor="someone")
    url = reverse("admin:risk_halt_change", args=[row.pk])
    officer.post(url, {"reason": "over"})
    assert "Resume trading" not in officer.get(url).content.decode()
    assert officer.post(url, {"reason": "again"}).status_code == 403


def test_trader_can_neither_halt_nor_resume(desk, admin_of):
    row = halt(scope="firm", reason="news", actor="someone")
    trader = admin_of("trader")
    assert trader.post(ADD_HALT, {"scope": "firm", "level": "freeze", "reason": "x"}).status_code == 403
    assert trader.post(SWITCH, {"scope": "firm", "level": "freeze", "reason": "x"}).status_code == 403
    assert trader.post(FLATTEN, {"scope": "firm", "confirm": "FLATTEN", "reason": "x"}).status_code == 403
    assert trader.post(reverse("admin:risk_halt_change", args=[row.pk]), {"reason": "x"}).status_code == 403
    row.refresh_from_db()
    assert row.cleared_at is None


def test_kill_switch_tells_trading_from_halted_and_what_became_of_the_cancels(officer, admin_of):
    assert "TRADING" in officer.get(SWITCH).content.decode()
    order = rows.submitted()
    stop = {"scope": "firm", "level": "cancel_all", "reason": "<b>runaway</b>"}
    assert officer.post(SWITCH, stop).status_code == 302
    order.refresh_from_db()
    assert order.status == "canceled"
    body = admin_of("viewer").get(SWITCH).content.decode()
    assert "HALTED" in body
    assert "&lt;b&gt;runaway&lt;/b&gt;" in body
    assert "1 never sent, cancelled here" in body
    assert "Clear…" not in body
    assert "Flatten…" not in body


def test_halt_that_makes_no_sense_has_its_error_at_the_field(officer):
    answer = officer.post(SWITCH, {"scope": "firm", "level": "reject", "reason": "x"})
    assert "operation" in answer.context["form"].errors
    assert not Halt.objects.exists()


def test_flatten_needs_the_typed_word(officer):
    about = {"scope": "firm", "reason": "drill"}
    answer = officer.post(FLATTEN, about | {"confirm": "flatten"})
    assert "confirm" in answer.context["form"].errors
    assert not Halt.objects.exists()
    assert officer.post(FLATTEN, about | {"confirm": "FLATTEN"}).status_code == 302
    assert (Halt.objects.get().level, Halt.objects.get().flatten) == ("reduce_only", True)
    assert "closing everything" in officer.get(SWITCH).content.decode()
