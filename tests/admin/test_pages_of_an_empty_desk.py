"""Pages load where there are no rows yet, and refuse what does not come from them."""

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from orders.admin import shared
from tests.admin import rows
from tests.admin.pages import MODELS, OURS, named, url
from tradingdesk.fix import OrdStatus, RequestState, Side

pytestmark = pytest.mark.slow


def test_every_model_of_the_desk_is_registered():
    assert set(OURS) <= set(admin.site._registry)


@pytest.mark.parametrize("model", **named(MODELS))
def test_list_loads_empty_and_a_missing_row_goes_back(model, superuser):
    assert superuser.get(url(model, "changelist")).status_code == 200
    assert superuser.get(url(model, "change", "987654")).status_code == 302


@pytest.mark.parametrize("app_label", sorted({model._meta.app_label for model in MODELS}))
def test_app_pages_load(app_label, superuser):
    assert superuser.get(reverse("admin:app_list", args=[app_label])).status_code == 200


def test_pages_about_oneself_and_the_search_load(superuser):
    for page in (reverse("admin:password_change"), reverse("admin:search") + "?s=order", reverse("admin:jsi18n")):
        assert superuser.get(page).status_code == 200


def test_posts_without_the_forms_token_are_refused(desk):
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("root-user"))
    order = rows.order_with_history()
    for page in (reverse("admin:orders_order_add"), reverse("admin:orders_order_cancel", args=[order.pk])):
        assert client.post(page, {}).status_code == 403


def test_every_status_and_state_has_its_label():
    assert set(shared.STATUS_LABELS) == set(OrdStatus.values)
    assert set(shared.STATE_LABELS) == set(RequestState.values)
    assert set(shared.SIDE_LABELS) == set(Side.values)
