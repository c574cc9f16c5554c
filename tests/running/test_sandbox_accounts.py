"""Which variables the desk sets for the sandbox brokers, and which it leaves alone."""

from pathlib import Path

import pytest

from tests.environment import ROOT
from tradingdesk.running.sandbox import sandbox_keys

PROFILE = ROOT / "config" / "sandbox.yaml"
AT_SANDBOX = """
  {name}:
    base_url: "${{SANDBOX_URL}}"
    api_key: "${{{prefix}_API_KEY}}"
    secret_key: "${{{prefix}_SECRET_KEY}}"
"""


@pytest.fixture
def config(tmp_path: Path):
    def write(*accounts: str) -> Path:
        path = tmp_path / "desk.yaml"
        path.write_text("brokers:\n" + "".join(accounts))
        return path

    return write


def test_accounts_of_the_shipped_configuration_are_at_the_sandbox():
    assert sandbox_keys(ROOT / "config" / "desk.yaml", PROFILE) == {
        "ALPACA_API_KEY": "SANDBOX-ALPACA",
        "ALPACA_SECRET_KEY": "sandbox-alpaca-opens-nothing",
        "ALPACA_MARGIN_API_KEY": "SANDBOX-ALPACA-MARGIN",
        "ALPACA_MARGIN_SECRET_KEY": "sandbox-alpaca-margin-opens-nothing",
    }


def test_no_sandbox_is_wanted_where_no_account_refers_to_it(config):
    real = '\n  alpaca:\n    api_key: "${ALPACA_API_KEY}"\n    secret_key: "${ALPACA_SECRET_KEY}"\n'
    assert sandbox_keys(config(real), PROFILE) is None


def test_keys_that_a_real_account_uses_too_are_left_alone(config):
    real = '\n  real:\n    adapter: alpaca\n    api_key: "${ALPACA_API_KEY}"\n    secret_key: "${MY_SECRET}"\n'
    both = config(AT_SANDBOX.format(name="alpaca", prefix="ALPACA"), real)
    assert sandbox_keys(both, PROFILE) == {"ALPACA_SECRET_KEY": "sandbox-alpaca-opens-nothing"}


def test_account_that_the_sandbox_does_not_have_gets_no_keys(config):
    assert sandbox_keys(config(AT_SANDBOX.format(name="another", prefix="ANOTHER")), PROFILE) == {}


def test_account_at_the_sandbox_tws_wants_the_sandbox_and_no_keys(config):
    tws = '\n  interactive_brokers:\n    host: 127.0.0.1\n    port: "${SANDBOX_TWS_PORT}"\n'
    assert sandbox_keys(config(tws), PROFILE) == {}


@pytest.mark.parametrize("text", ["", "brokers:", "brokers: [1]", "brokers:\n  alpaca: 3\n", ": : :\n- x"])
def test_broken_configuration_is_for_others_to_tell(tmp_path, text):
    path = tmp_path / "desk.yaml"
    path.write_text(text)
    assert sandbox_keys(path, PROFILE) is None
