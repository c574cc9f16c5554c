"""URLs of servers that cannot be read: told by the variable's name, without the password."""

import subprocess
import sys

import pytest
from django.core.exceptions import ImproperlyConfigured

from tests.environment import ROOT, desk_env
from tradingdesk.config.servers import database_settings, password_of


@pytest.mark.parametrize(
    "url",
    [
        "postgres://desk:hunter/22@db.example/desk",
        "postgres://desk:hunter?22@db.example/desk",
        "postgres://desk:hunter22@db.example:54x32/desk",
        "hunter22",
    ],
)
def test_database_url_that_cannot_be_read_is_refused_without_being_shown(url):
    with pytest.raises(ImproperlyConfigured, match=r"^DATABASE_URL: not a URL such as") as refusal:
        database_settings(url)
    assert "unter" not in str(refusal.value)


@pytest.mark.parametrize("url", ["redis://:hunter/22@h:1/0", "redis://:[hunter@h:1/0", "redis://:hunter22@h:6x3/0"])
def test_redis_url_that_cannot_be_read_is_refused_without_being_shown(url):
    with pytest.raises(ImproperlyConfigured, match=r"^REDIS_URL: not a URL such as") as refusal:
        password_of("REDIS_URL", url)
    assert "unter" not in str(refusal.value)


def test_password_is_given_as_written_and_as_it_is():
    assert password_of("REDIS_URL", "redis://:can%23ary@h:1/0") == {"can%23ary", "can#ary"}
    assert password_of("REDIS_URL", "redis://h:1/0") == set()
    assert password_of("REDIS_URL", "") == set()


def test_password_of_a_database_url_may_hold_escaped_characters():
    found = database_settings("postgres://desk:can%2Fary@db.example:5433/desk")
    assert (found["PASSWORD"], found["HOST"], found["PORT"], found["NAME"]) == ("can/ary", "db.example", 5433, "desk")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variables", "text"),
    [
        ({"DATABASE_URL": "postgres://desk:hunter/22@db.example/desk"}, ""),
        ({"REDIS_URL": "redis://:hunter/22@db.example:1/0"}, ""),
        ({}, 'database:\n  url: "postgres://desk:hunter22@db.example/desk\n'),
        ({}, 'database:\n  - "postgres://desk:hunter22@db.example/desk"\n'),
        ({}, 'database:\n  url: "postgres://desk:hunter/22@db.example/desk"\n'),
    ],
)
def test_desk_that_cannot_start_says_why_without_the_password(tmp_path, variables, text):
    (tmp_path / "desk.yaml").write_text(text)
    env = desk_env(tmp_path, DESK_CONFIG=str(tmp_path / "desk.yaml"), **variables)
    command = [sys.executable, "manage.py", "check"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "ImproperlyConfigured" in done.stderr
    assert "hunter" not in done.stdout + done.stderr
