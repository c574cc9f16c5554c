"""What can be wrong with an account's settings, said in one line each."""

import pytest

from brokers.adapters.interactive_brokers.adapter import Adapter
from brokers.adapters.interactive_brokers.config import read_settings, settings_errors

GOOD = {"client_id": 101, "account_id": "DU1234567", "paper_trading": True}


def test_account_and_client_id_are_all_that_is_needed():
    assert settings_errors(GOOD) == []
    settings = read_settings(GOOD)
    assert (settings.host, settings.port, settings.client_id) == ("127.0.0.1", 4002, 101)
    assert read_settings({**GOOD, "account_id": "U1", "paper_trading": False}).port == 4001


def test_missing_settings_are_named():
    assert [line.partition(":")[0] for line in Adapter.check_settings({})] == ["client_id", "account_id", "symbols"]


@pytest.mark.parametrize("symbols", [{}, {"symbols": []}])
def test_account_that_names_no_symbol_is_not_configured(symbols):
    [line] = Adapter.check_settings(GOOD | symbols)
    assert line.startswith("symbols: name what the desk may trade there")


@pytest.mark.parametrize(
    ("values", "key", "words"),
    [
        ({"client_id": "x"}, "client_id", "number"),
        ({"client_id": True}, "client_id", "number"),
        ({"client_id": -1}, "client_id", "number"),
        ({"port": 70000}, "port", "API port"),
        ({"port": 4001}, "port", "real money"),
        ({"port": 7496}, "port", "real money"),
        ({"host": "http://localhost"}, "host", "without a scheme"),
        ({"account_id": "U1234567"}, "account_id", "does not start with D"),
        ({"paper_trading": False}, "account_id", "starts with D"),
        ({"paper_trading": "yes"}, "paper_trading", "true or false"),
        ({"symbols": "AAPL"}, "symbols", "a list"),
        ({"market_data": "free"}, "market_data", "delayed"),
        ({"timezone": "Nowhere/Here"}, "timezone", "time zone"),
        ({"heartbeat": 0}, "heartbeat", "seconds"),
        ({"api_key": "x"}, "api_key", "not a setting"),
    ],
)
def test_wrong_setting_is_one_line_with_the_fix(values, key, words):
    [line] = settings_errors(GOOD | values)
    assert line.startswith(f"{key}: ")
    assert words in line


def test_paper_port_for_real_money_is_refused():
    [line] = settings_errors({**GOOD, "account_id": "U1", "paper_trading": False, "port": 4002})
    assert line.startswith("port: 4002 is for paper accounts")


def test_adapter_is_not_made_from_wrong_settings_and_touches_no_network():
    with pytest.raises(ValueError, match="client_id"):
        Adapter({"account_id": "DU1"})
    adapter = Adapter({**GOOD, "host": "nowhere.invalid"})
    adapter.close()
