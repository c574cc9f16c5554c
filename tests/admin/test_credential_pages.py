"""Credentials in the back office: put in, replaced and removed, with a reason; never shown."""

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from tests import factories
from tests.admin.conftest import signed_in
from tradingdesk.audit.models import AuditEvent
from tradingdesk.credentials import keys, store
from tradingdesk.credentials.models import Credential

ADD = reverse("admin:tradingdesk_credential_add")
LIST = reverse("admin:tradingdesk_credential_changelist")
VALUE = "PKTYPEDVALUE-0987654321"
TYPED = {"name": "alpaca_key", "secret": VALUE, "reason": "new keys"}


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv(keys.VARIABLE, keys.new_key())


def change_of(credential: Credential) -> str:
    return reverse("admin:tradingdesk_credential_change", args=[credential.pk])


def remove_of(credential: Credential) -> str:
    return reverse("admin:tradingdesk_credential_remove", args=[credential.pk])


@pytest.fixture
def kept(db) -> Credential:
    return store.set_credential(name="alpaca_key", value=VALUE, actor="ann", reason="first")


def test_typed_credential_is_kept_and_no_page_shows_it(superuser):
    answer = superuser.post(ADD, TYPED, follow=True)
    assert answer.redirect_chain == [(LIST, 302)]
    assert "Refer to it as ${db:alpaca_key}" in answer.content.decode()
    assert store.value_of("alpaca_key") == VALUE
    credential = Credential.objects.get()
    event = AuditEvent.objects.get(kind="credential.set")
    assert (event.actor, event.reason, credential.set_by) == ("root-user", "new keys", "root-user")
    for page in (answer, superuser.get(LIST), superuser.get(change_of(credential)), superuser.get(ADD)):
        assert VALUE not in page.content.decode()
        assert credential.token not in page.content.decode()


def test_page_tells_when_it_was_set_and_by_whom(superuser, kept):
    page = superuser.get(change_of(kept)).content.decode()
    assert f"Set by ann at {kept.set_at:%Y-%m-%d %H:%M}" in page


@pytest.mark.parametrize(
    ("changes", "field"), [({"name": "a b"}, "name"), ({"secret": "two\nlines"}, "secret"), ({"reason": ""}, "reason")]
)
def test_refused_form_has_its_error_at_the_field_and_gives_no_value_back(superuser, changes, field):
    answer = superuser.post(ADD, TYPED | changes)
    assert answer.status_code == 200
    assert list(answer.context["form"].errors) == [field]
    assert VALUE not in answer.content.decode()
    assert not Credential.objects.exists()


def test_without_a_key_nothing_is_kept_and_the_page_says_what_to_set(superuser, monkeypatch):
    monkeypatch.delenv(keys.VARIABLE)
    answer = superuser.post(ADD, TYPED)
    assert "set DESK_CREDENTIAL_KEY in the environment" in answer.content.decode()
    assert VALUE not in answer.content.decode()
    assert not Credential.objects.exists()


def test_credential_is_replaced_but_its_name_stays(superuser, kept):
    answer = superuser.post(change_of(kept), {"name": "other", "secret": "another-value-1", "reason": "leaked"})
    assert answer.status_code == 302
    assert store.value_of("alpaca_key") == "another-value-1"
    assert Credential.objects.get().set_by == "root-user"


def test_credential_is_removed_with_a_reason(superuser, kept):
    assert superuser.post(remove_of(kept), {"reason": ""}).status_code == 200
    assert Credential.objects.exists()
    assert superuser.post(remove_of(kept), {"reason": "closed"}).status_code == 302
    assert not Credential.objects.exists()
    assert AuditEvent.objects.get(kind="credential.removed").reason == "closed"


def test_auditor_sees_names_and_dates_and_can_change_nothing(admin_of, kept):
    auditor = admin_of("auditor")
    assert "ann" in auditor.get(LIST).content.decode()
    page = auditor.get(change_of(kept))
    assert (page.status_code, VALUE in page.content.decode(), kept.token in page.content.decode()) == (
        200,
        False,
        False,
    )
    assert auditor.post(change_of(kept), TYPED).status_code == 403
    assert auditor.post(ADD, TYPED).status_code == 403
    assert auditor.post(remove_of(kept), {"reason": "x"}).status_code == 403
    assert store.value_of("alpaca_key") == VALUE


@pytest.mark.parametrize("group", ["viewer", "trader", "risk officer"])
def test_nobody_else_sees_them(admin_of, kept, group):
    client = admin_of(group)
    assert [client.get(page).status_code for page in (LIST, ADD, change_of(kept), remove_of(kept))] == [403] * 4


def test_right_to_change_alone_does_not_remove(db, kept):
    person = factories.UserFactory(is_staff=True)
    for right in ("view", "change"):
        person.user_permissions.add(Permission.objects.get(codename=f"{right}_credential"))
    client = signed_in(person)
    assert "Remove this credential" not in client.get(change_of(kept)).content.decode()
    assert client.post(remove_of(kept), {"reason": "x"}).status_code == 403
    assert Credential.objects.exists()
