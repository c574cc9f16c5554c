"""Every page of every model loads with rows, for those who may see it and nobody else, and shows text as text."""

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from orders.admin import shared
from tests import factories
from tests.admin import rows
from tests.admin.conftest import signed_in
from tradingdesk.backoffice.admins import AppendOnlyAdmin, ReadOnlyAdmin
from tradingdesk.facts import Fact
from tradingdesk.fix import OrdStatus, RequestState, Side

pytestmark = pytest.mark.slow

MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
OURS = [
    model for app in ("tradingdesk", "brokers", "risk", "orders") for model in apps.get_app_config(app).get_models()
]
FACTS = [model for model in OURS if issubclass(model, Fact)]
STATE = [model for model in MODELS if isinstance(admin.site._registry[model], ReadOnlyAdmin) and model not in FACTS]
EDITED_BY_STAGE_FORM = {
    *(
        "brokers.Instrument",
        "django_celery_beat.PeriodicTask",
        "orders.Approval",
        "orders.Order",
        "orders.RebalancePlan",
        "orders.ReconciliationBreak",
        "risk.Limit",
        "risk.Halt",
        "tradingdesk.Credential",
    ),
}


def named(models: list) -> dict:
    return {"argvalues": models, "ids": [model._meta.label for model in models]}


def url(model, page: str, *args) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def test_every_model_of_the_desk_is_registered():
    assert set(OURS) <= set(admin.site._registry)


@pytest.mark.parametrize("model", **named(MODELS))
def test_list_and_page_load_with_rows(model, desk, superuser):
    rows.one_of_each()
    listing = superuser.get(url(model, "changelist"))
    assert listing.status_code == 200
    assert listing.context["cl"].result_count >= 1
    for row in model._default_manager.all()[:2]:
        assert superuser.get(url(model, "change", row.pk)).status_code == 200


@pytest.mark.parametrize("model", **named(MODELS))
def test_list_loads_empty_and_a_missing_row_goes_back(model, superuser):
    assert superuser.get(url(model, "changelist")).status_code == 200
    assert superuser.get(url(model, "change", "987654")).status_code == 302


@pytest.mark.parametrize("model", **named([model for model in MODELS if admin.site._registry[model].search_fields]))
def test_search_takes_any_text(model, desk, superuser):
    rows.one_of_each()
    for term in ("IBM", "history-1", "%' OR 1=1 --", "\0", "<b>"):
        assert superuser.get(url(model, "changelist"), {"q": term}).status_code == 200


@pytest.mark.parametrize("model", **named(MODELS))
def test_html_in_text_is_shown_as_text(model, desk, superuser):
    rows.one_of_each(rows.HTML)
    pages = [url(model, "changelist")]
    pages += [url(model, "change", row.pk) for row in model._default_manager.all()[:3]]
    for page in pages:
        body = superuser.get(page).content.decode()
        assert "<script>alert" not in body
        assert "<b>bold" not in body


@pytest.mark.parametrize("model", **named(MODELS))
def test_a_person_without_permission_sees_nothing(model, desk):
    rows.one_of_each()
    nobody = factories.UserFactory(is_staff=True)
    client = signed_in(nobody)
    assert client.get(url(model, "changelist")).status_code == 403
    row = model._default_manager.first()
    assert client.get(url(model, "change", row.pk)).status_code == 403


@pytest.mark.parametrize("model", **named(MODELS))
def test_view_permission_alone_opens_the_list_and_nothing_to_submit(model, desk):
    rows.one_of_each()
    codename = f"view_{model._meta.model_name}"
    viewer = factories.UserFactory(is_staff=True)
    viewer.user_permissions.add(
        Permission.objects.get(codename=codename, content_type__app_label=model._meta.app_label)
    )
    client = signed_in(viewer)
    assert client.get(url(model, "changelist")).status_code == 200
    page = client.get(url(model, "change", model._default_manager.first().pk))
    assert page.status_code == 200
    assert 'name="_save"' not in page.content.decode()
    assert client.get(url(model, "add")).status_code in (403, 302)


@pytest.mark.parametrize("model", **named(FACTS))
def test_facts_can_neither_be_added_changed_nor_deleted(model, desk, superuser):
    rows.one_of_each()
    assert isinstance(admin.site._registry[model], AppendOnlyAdmin)
    row = model._default_manager.first()
    before = list(model._default_manager.order_by("pk").values())
    assert superuser.post(url(model, "add"), {}).status_code == 403
    assert superuser.post(url(model, "change", row.pk), {"reason": "changed"}).status_code == 403
    assert superuser.post(url(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    superuser.post(url(model, "changelist"), {"action": "delete_selected", "_selected_action": [row.pk]})
    assert list(model._default_manager.order_by("pk").values()) == before


@pytest.mark.parametrize("model", **named([model for model in STATE if model._meta.label not in EDITED_BY_STAGE_FORM]))
def test_state_is_not_edited_by_hand(model, desk, superuser):
    rows.one_of_each()
    row = model._default_manager.first()
    assert superuser.post(url(model, "add"), {}).status_code == 403
    assert superuser.post(url(model, "change", row.pk), {}).status_code == 403
    assert superuser.post(url(model, "delete", row.pk), {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("label", sorted(EDITED_BY_STAGE_FORM))
def test_orders_limits_halts_and_schedules_are_never_deleted(label, desk, superuser):
    rows.one_of_each()
    model = apps.get_model(label)
    count = model.objects.count()
    assert superuser.post(url(model, "delete", model.objects.first().pk), {"post": "yes"}).status_code == 403
    assert model.objects.count() == count


@pytest.mark.parametrize("app_label", sorted({model._meta.app_label for model in MODELS}))
def test_app_pages_load(app_label, superuser):
    assert superuser.get(reverse("admin:app_list", args=[app_label])).status_code == 200


def test_pages_about_oneself_and_the_search_load(superuser):
    for url in (reverse("admin:password_change"), reverse("admin:search") + "?s=order", reverse("admin:jsi18n")):
        assert superuser.get(url).status_code == 200


def test_posts_without_the_forms_token_are_refused(desk):
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("root-user"))
    order = rows.order_with_history()
    for url in (reverse("admin:orders_order_add"), reverse("admin:orders_order_cancel", args=[order.pk])):
        assert client.post(url, {}).status_code == 403


def test_every_status_and_state_has_its_label():
    assert set(shared.STATUS_LABELS) == set(OrdStatus.values)
    assert set(shared.STATE_LABELS) == set(RequestState.values)
    assert set(shared.SIDE_LABELS) == set(Side.values)
