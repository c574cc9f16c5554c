"""The first user of a new desk, and the file that tells how to get in."""

import json
import stat

import pytest
from django.contrib.auth import authenticate, get_user_model
from rest_framework.authtoken.models import Token

from tests.factories import UserFactory
from tradingdesk.audit.models import AuditEvent
from tradingdesk.running.first_user import ensure_first_user

pytestmark = pytest.mark.django_db
URL = "http://127.0.0.1:8000"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "credentials.json"


def test_new_desk_gets_one_user_who_may_do_everything(path):
    made = ensure_first_user(path, URL)
    user = authenticate(username=made.username, password=made.password)
    assert (user.username, user.is_superuser) == ("admin", True)
    assert Token.objects.get(user=user).key == made.token
    assert AuditEvent.objects.get(kind="user.created").entity_key == "admin"


def test_file_tells_how_to_get_in_to_its_owner_only(path):
    made = ensure_first_user(path, URL)
    told = json.loads(path.read_text())
    assert told == {"url": URL, "username": "admin", "password": made.password, "token": made.token}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_second_start_changes_nothing_but_the_address(path):
    made = ensure_first_user(path, URL)
    again = ensure_first_user(path, "http://127.0.0.1:9000")
    assert (again.url, again.password, again.token) == ("http://127.0.0.1:9000", made.password, made.token)
    assert json.loads(path.read_text())["url"] == "http://127.0.0.1:9000"
    assert get_user_model().objects.count() == 1


def test_desk_that_has_users_gets_none_and_no_file(path):
    UserFactory()
    assert ensure_first_user(path, URL).username == ""
    assert get_user_model().objects.count() == 1
    assert not path.exists()


@pytest.mark.parametrize("text", ["", "{", '{"url": "x"}', '{"who": "knows"}', "[]"])
def test_file_of_an_earlier_database_is_written_anew(path, text):
    path.write_text(text)
    made = ensure_first_user(path, URL)
    assert json.loads(path.read_text())["token"] == made.token


def test_file_whose_token_is_gone_tells_nothing(path):
    ensure_first_user(path, URL)
    Token.objects.all().delete()
    assert ensure_first_user(path, URL).password == ""
