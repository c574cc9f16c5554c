"""The settings of an Alpaca account."""

import pytest

from brokers.adapters.alpaca.adapter import Adapter
from brokers.adapters.alpaca.config import read_settings
from tests.brokers.alpaca_samples import KEYS


@pytest.mark.parametrize(
    ("settings", "trading", "data"),
    [
        ({}, "https://paper-api.alpaca.markets", "https://data.alpaca.markets"),
        ({"paper_trading": False}, "https://api.alpaca.markets", "https://data.alpaca.markets"),
        ({"base_url": "http://127.0.0.1:8001/"}, "http://127.0.0.1:8001", "http://127.0.0.1:8001"),
        ({"base_url": "https://paper-api.alpaca.markets/v2"}, "https://paper-api.alpaca.markets", None),
        ({"base_url": "http://h", "data_url": "http://d:1"}, "http://h", "http://d:1"),
    ],
)
def test_urls_follow_from_the_settings(settings, trading, data):
    read = read_settings(KEYS | settings)
    assert read.trading_url == trading
    assert data is None or read.data_url == data


def test_timeouts_and_feed_have_defaults():
    read = read_settings(KEYS)
    assert (read.timeout, read.feed, read.paper_trading) == ((3.0, 12.0), "iex", True)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"api_key": ""}, "api_key: set it"),
        ({"secret_key": None}, "secret_key: set it"),
        ({"base_url": "sandbox:8001"}, "base_url: give a URL"),
        ({"data_url": "http://h:99999"}, "data_url: give a URL"),
        ({"paper_trading": "yes"}, "paper_trading: write true or false"),
        (
            {"base_url": "https://api.alpaca.markets"},
            "base_url: https://api.alpaca.markets is not for paper",
        ),
        ({"base_url": "https://paper-api.alpaca.markets", "paper_trading": False}, "base_url: https://paper-api"),
        ({"feed": "bloomberg"}, "feed: use one of"),
        ({"read_timeout": 0}, "read_timeout: give seconds"),
        ({"connect_timeout": "3"}, "connect_timeout: give seconds"),
        ({"api_kee": "x"}, "api_kee: not a setting of alpaca"),
    ],
)
def test_wrong_setting_is_named_with_its_fix_and_stops_the_adapter(settings, line):
    (error,) = Adapter.check_settings(KEYS | settings)
    assert error.startswith(line)
    with pytest.raises(ValueError, match=line.split(":")[0]):
        Adapter(KEYS | settings)


def test_good_settings_have_no_errors_and_secrets_are_not_shown():
    assert Adapter.check_settings(KEYS) == []
    assert "a-secret" not in repr(read_settings(KEYS))
    assert "a-key" not in repr(read_settings(KEYS))


def test_error_lines_do_not_show_secrets():
    lines = Adapter.check_settings({"api_key": "a-key", "secret_key": "a-secret", "base_url": "nonsense"})
    assert not any("a-key" in line or "a-secret" in line for line in lines)
