"""The old YAML becomes a configuration that the desk takes: what means the same is mapped, all else is a comment."""

from decimal import Decimal
from io import StringIO

import pytest
import yaml
from django.core.management import call_command

from brokers.models import BrokerAccount
from orders.migrate.configuration import MARK, OTHER_MEANINGS, convert
from risk.limits import limits_in_force
from tradingdesk.config.record import configuration_in_force, plan
from tradingdesk.errors import InvalidInput

OLD = """
broker:
  name: alpaca
  paper_trading: true
  api_key: "${ALPACA_API_KEY}"
  secret_key: "${ALPACA_SECRET_KEY}"
  base_url: https://paper-api.alpaca.markets
  market_data_feed: iex
  retries: 3
database:
  url: "sqlite:///data/trading.db"
  pool_size: 20
trading:
  max_positions: 15
  max_daily_loss: 2000.0
risk:
  enabled: true
  max_exposure_per_trade: 0.05
  max_correlation: 0.7
  portfolio_risk_limit: 0.15
alerts:
  telegram:
    bot_token: "123:literal-token"
    chat_id: "${TELEGRAM_CHAT_ID}"
screening:
  schedule: "0 */1 * * *"
"""


@pytest.fixture
def old(tmp_path, monkeypatch):
    """Write an old file: `old()`, or with a part of it replaced: `old("iex", "sip")`."""
    for name in ("ALPACA_API_KEY", "ALPACA_SECRET_KEY"):
        monkeypatch.setenv(name, "of-the-test")

    def write(before: str = "", after: str = ""):
        path = tmp_path / "old.yaml"
        path.write_text(OLD.replace(before, after) if before else OLD)
        return path

    return write


def converted(path, value: str | None = "100000") -> str:
    return convert(path, broker_name="alpaca", portfolio_value=value and Decimal(value))


def test_what_means_the_same_is_mapped(old):
    new = yaml.safe_load(converted(old()))
    assert new == {
        "brokers": {
            "alpaca": {
                "enabled": True,
                "allocation_percent": 1,
                "paper_trading": True,
                "api_key": "${ALPACA_API_KEY}",
                "secret_key": "${ALPACA_SECRET_KEY}",
                "feed": "iex",
            }
        },
        "database": {"url": "sqlite:///data/trading.db"},
        "risk": {"max_order_notional": 5000, "portfolio_risk_limit": 75000, "max_broker_allocation": 1},
    }


def test_what_means_something_else_is_a_comment_with_the_reason(old):
    text = converted(old())
    for (section, key), meaning in OTHER_MEANINGS.items():
        if f"{key}:" in OLD:
            assert f"  # old {section}.{key}: " in text
            assert meaning in text


def test_what_the_desk_does_not_use_is_kept_in_a_marked_section(old):
    kept = converted(old()).partition(MARK)[2]
    back = yaml.safe_load("\n".join(line[2:] for line in kept.splitlines()))
    assert back["screening"] == {"schedule": "0 */1 * * *"}
    assert back["broker"] == {"retries": 3}
    assert back["database"] == {"pool_size": 20}
    assert back["alerts"]["telegram"] == {"bot_token": "***", "chat_id": "${TELEGRAM_CHAT_ID}"}


def test_secret_that_stood_in_the_old_file_is_not_carried_over(old):
    text = converted(old("${ALPACA_API_KEY}", "PKLITERALKEY"))
    assert "PKLITERALKEY" not in text
    assert 'api_key: "${ALPACA_API_KEY}"   # the old file had the value itself' in text


def test_url_that_is_not_alpacas_own_is_kept(old):
    assert 'base_url: "http://127.0.0.1:9"' in converted(old("https://paper-api.alpaca.markets", "http://127.0.0.1:9"))


@pytest.mark.django_db
@pytest.mark.parametrize("value", ["100000", None])
def test_result_is_taken_by_load_config(old, tmp_path, value):
    new = tmp_path / "new.yaml"
    new.write_text(converted(old(), value))
    call_command("load_config", new, stdout=StringIO())
    assert configuration_in_force().version == 1
    assert BrokerAccount.objects.get().settings["api_key"] == "${ALPACA_API_KEY}"
    expected = {"max_broker_allocation"} | ({"max_order_notional", "portfolio_risk_limit"} if value else set())
    assert {limit.control for limit in limits_in_force()} == expected


@pytest.mark.django_db
def test_the_given_file_is_taken_by_the_desk(shared, old, tmp_path):
    old()  # for the keys
    new = tmp_path / "new.yaml"
    new.write_text(converted(shared / "legacy" / "config.yaml", "100000"))
    limits = {limit.control: limit.value for limit in plan(new).parsed["risk"].limits()}
    assert limits == {"max_order_notional": 5000, "portfolio_risk_limit": 75000, "max_broker_allocation": 1}


def test_limits_wait_where_the_portfolios_value_is_not_known(old):
    text = converted(old(), None)
    assert "# max_order_notional: ..." in text
    assert yaml.safe_load(text)["risk"] == {"max_broker_allocation": 1}


def test_file_without_a_broker_is_refused(old):
    with pytest.raises(InvalidInput, match="NOT_A_LEGACY_CONFIGURATION"):
        converted(old("broker:", "brokre:"))
