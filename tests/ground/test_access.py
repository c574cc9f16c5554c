"""Who is let in, and the desk's permission query against Django's own."""

from importlib import import_module
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import AnonymousUser, Group, Permission, User
from rest_framework.authtoken.models import Token

from analytics import migrations
from tests import factories
from tradingdesk.access import OneQueryBackend

pytestmark = pytest.mark.django_db


def test_permissions_of_person_and_groups_are_those_that_django_finds(django_assert_num_queries):
    person = factories.member_of("trader", "auditor")
    person.user_permissions.add(
        Permission.objects.get(codename="add_halt"), Permission.objects.get(codename="add_order")
    )
    factories.member_of("risk officer")
    expected = ModelBackend().get_all_permissions(User.objects.get(pk=person.pk))
    with django_assert_num_queries(1):
        assert OneQueryBackend().get_all_permissions(person) == expected
        assert person.has_perm("risk.add_halt")
        assert not person.has_perm("risk.clear_halt")


def test_who_is_gone_or_nobody_may_do_nothing_and_a_superuser_everything():
    backend = OneQueryBackend()
    assert backend.get_all_permissions(AnonymousUser()) == set()
    left = factories.member_of("trader")
    left.is_active = False
    assert backend.get_all_permissions(left) == set()
    assert backend.has_perm(User(username="root", is_superuser=True), "risk.clear_halt")


def test_groups_differ_in_what_their_names_say():
    granted = {
        group.name: {
            f"{p.content_type.app_label}.{p.codename}" for p in group.permissions.select_related("content_type")
        }
        for group in Group.objects.all()
    }
    assert set(granted) == {"viewer", "trader", "risk officer", "auditor"}
    viewer = granted["viewer"]
    assert all(".view_" in name for name in viewer)
    assert granted["trader"] - viewer == {
        "orders.add_order",
        "orders.change_order",
        "orders.cancel_order",
        "orders.add_rebalanceplan",
    }
    assert granted["risk officer"] - viewer == {
        "risk.add_limit",
        "risk.change_limit",
        "risk.add_halt",
        "risk.clear_halt",
        "risk.flatten_halt",
        "orders.resolve_break",
        "orders.add_rebalanceplan",
        "orders.approve_order",
        "orders.approve_rebalanceplan",
        "brokers.change_brokeraccount",
        "brokers.change_instrument",
        "tradingdesk.view_configurationrecord",
        "tradingdesk.enact_configurationrecord",
    }
    assert granted["auditor"] - viewer == {
        "tradingdesk.view_auditevent",
        "tradingdesk.view_configurationrecord",
        "tradingdesk.view_credential",
    }
    assert viewer <= granted["trader"] & granted["risk officer"] & granted["auditor"]


def test_groups_go_and_come_back_with_their_migrations():
    names = sorted(path.stem for path in Path(migrations.__path__[0]).glob("0*.py"))
    operations = [one for name in names for one in import_module(f"analytics.migrations.{name}").Migration.operations]
    for one in reversed(operations):
        one.reverse_code(apps, None)
    assert not Group.objects.exists()
    for one in operations:
        one.code(apps, None)
    test_groups_differ_in_what_their_names_say()


def test_token_opens_the_desk_until_its_owner_is_switched_off(client):
    person = factories.member_of("viewer")
    headers = {"Authorization": f"Token {Token.objects.create(user=person).key}"}

    before = client.get("/api/v1/orders/", headers=headers).status_code
    User.objects.filter(pk=person.pk).update(is_active=False)

    assert before == 200
    assert client.get("/api/v1/orders/", headers=headers).status_code == 401
    assert client.get("/api/v1/orders/", headers={"Authorization": "Token none"}).status_code == 401
