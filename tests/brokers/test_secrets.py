"""`${NAME}` in an account's settings."""

import pytest

from brokers.secrets import MissingSecret, resolve


def test_name_is_replaced_by_the_variable(monkeypatch):
    monkeypatch.setenv("DESK_TEST_KEY", "k-1")
    settings = {"api_key": "${DESK_TEST_KEY}", "base_url": "http://${DESK_TEST_KEY}/x", "port": 4002, "feed": "iex"}
    assert resolve(settings) == {"api_key": "k-1", "base_url": "http://k-1/x", "port": 4002, "feed": "iex"}
    assert settings["api_key"] == "${DESK_TEST_KEY}"


def test_name_is_replaced_by_the_content_of_its_file(monkeypatch, tmp_path):
    (tmp_path / "secret").write_text("from-a-file\n")
    monkeypatch.delenv("DESK_TEST_KEY", raising=False)
    monkeypatch.setenv("DESK_TEST_KEY_FILE", str(tmp_path / "secret"))
    assert resolve({"api_key": "${DESK_TEST_KEY}"}) == {"api_key": "from-a-file"}


def test_value_that_looks_like_a_reference_is_not_resolved_again(monkeypatch):
    monkeypatch.setenv("DESK_TEST_KEY", "${HOME}")
    assert resolve({"api_key": "${DESK_TEST_KEY}"}) == {"api_key": "${HOME}"}


@pytest.mark.parametrize("value", [None, ""])
def test_missing_name_is_an_error_that_names_setting_and_name(monkeypatch, value):
    monkeypatch.delenv("DESK_TEST_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("DESK_TEST_KEY", value)
    with pytest.raises(MissingSecret, match="secret_key: set DESK_TEST_KEY in the environment"):
        resolve({"secret_key": "${DESK_TEST_KEY}"})


def test_unreadable_file_is_an_error_that_names_the_setting(monkeypatch, tmp_path):
    monkeypatch.delenv("DESK_TEST_KEY", raising=False)
    monkeypatch.setenv("DESK_TEST_KEY_FILE", str(tmp_path / "absent"))
    with pytest.raises(MissingSecret, match="secret_key: DESK_TEST_KEY_FILE cannot be read"):
        resolve({"secret_key": "${DESK_TEST_KEY}"})
