"""Every page of every model loads with rows, for those who may see it and nobody else, and lets nobody change facts."""

from collections.abc import Iterator

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Permission

from tests import factories
from tests.admin import rows
from tests.admin.conftest import signed_in
from tests.admin.pages import MODELS, OURS, named, url
from tradingdesk.backoffice.admins import AppendOnlyAdmin, ReadOnlyAdmin
from tradingdesk.facts import Fact

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

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


@pytest.fixture(scope="module")
def one_of_each(desk_for_all) -> Iterator[None]:
    """A desk with one row of everything, for all tests of the module."""
    with desk_for_all():
        rows.one_of_each()
        yield


@pytest.mark.parametrize("model", **named(MODELS))
def test_list_and_page_load_with_rows(model, one_of_each, superuser):
    listing = superuser.get(url(model, "changelist"))
    assert listing.status_code == 200
    assert listing.context["cl"].result_count >= 1
    for row in model._default_manager.all()[:2]:
        assert superuser.get(url(model, "change", row.pk)).status_code == 200


@pytest.mark.parametrize("model", **named([model for model in MODELS if admin.site._registry[model].search_fields]))
def test_search_takes_any_text(model, one_of_each, superuser):
    for term in ("IBM", "history-1", "%' OR 1=1 --", "\0", "<b>"):
        assert superuser.get(url(model, "changelist"), {"q": term}).status_code == 200


@pytest.mark.parametrize("model", **named(MODELS))
def test_a_person_without_permission_sees_nothing(model, one_of_each):
    nobody = factories.UserFactory(is_staff=True)
    client = signed_in(nobody)
    assert client.get(url(model, "changelist")).status_code == 403
    row = model._default_manager.first()
    assert client.get(url(model, "change", row.pk)).status_code == 403


@pytest.mark.parametrize("model", **named(MODELS))
def test_view_permission_alone_opens_the_list_and_nothing_to_submit(model, one_of_each):
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
def test_facts_can_neither_be_added_changed_nor_deleted(model, one_of_each, superuser):
    assert isinstance(admin.site._registry[model], AppendOnlyAdmin)
    row = model._default_manager.first()
    before = list(model._default_manager.order_by("pk").values())
    assert superuser.post(url(model, "add"), {}).status_code == 403
    assert superuser.post(url(model, "change", row.pk), {"reason": "changed"}).status_code == 403
    assert superuser.post(url(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    superuser.post(url(model, "changelist"), {"action": "delete_selected", "_selected_action": [row.pk]})
    assert list(model._default_manager.order_by("pk").values()) == before


@pytest.mark.parametrize("model", **named([model for model in STATE if model._meta.label not in EDITED_BY_STAGE_FORM]))
def test_state_is_not_edited_by_hand(model, one_of_each, superuser):
    row = model._default_manager.first()
    assert superuser.post(url(model, "add"), {}).status_code == 403
    assert superuser.post(url(model, "change", row.pk), {}).status_code == 403
    assert superuser.post(url(model, "delete", row.pk), {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("label", sorted(EDITED_BY_STAGE_FORM))
def test_orders_limits_halts_and_schedules_are_never_deleted(label, one_of_each, superuser):
    model = apps.get_model(label)
    count = model.objects.count()
    assert superuser.post(url(model, "delete", model.objects.first().pk), {"post": "yes"}).status_code == 403
    assert model.objects.count() == count
