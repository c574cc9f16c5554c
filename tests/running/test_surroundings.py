"""What a running desk tells the commands that people type beside it."""

import os
import stat

import pytest

from tradingdesk.running.surroundings import FILE, Surroundings, adopt


@pytest.fixture(autouse=True)
def _clean(monkeypatch):
    """Put the environment back as it was."""
    for name in ("DESK_TEST_URL", "DESK_TEST_KEY"):
        monkeypatch.setenv(name, "x")
        monkeypatch.delenv(name)
    yield
    for name in ("DESK_TEST_URL", "DESK_TEST_KEY"):
        os.environ.pop(name, None)


def test_command_beside_the_desk_takes_over_what_it_set(tmp_path, monkeypatch):
    desk = Surroundings(tmp_path)
    desk.share({"DESK_TEST_URL": "http://127.0.0.1:1"})
    desk.share({"DESK_TEST_KEY": "dummy"})
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    monkeypatch.delenv("DESK_TEST_URL")
    monkeypatch.setenv("DESK_TEST_KEY", "my own")
    adopt(tmp_path)
    assert (os.environ["DESK_TEST_URL"], os.environ["DESK_TEST_KEY"]) == ("http://127.0.0.1:1", "my own")


def test_new_desk_forgets_what_a_killed_one_left(tmp_path, monkeypatch):
    Surroundings(tmp_path).share({"DESK_TEST_URL": "http://127.0.0.1:1"})
    monkeypatch.delenv("DESK_TEST_URL")
    adopt(tmp_path)
    Surroundings(tmp_path)
    assert "DESK_TEST_URL" not in os.environ
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize("text", [None, "", "{"])
def test_no_desk_or_an_unreadable_word_of_it_changes_nothing(tmp_path, text):
    if text is not None:
        (tmp_path / FILE).write_text(text)
    before = dict(os.environ)
    adopt(tmp_path)
    assert dict(os.environ) == before
