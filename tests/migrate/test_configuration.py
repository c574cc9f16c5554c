"""The old YAML becomes a configuration that the desk takes: what means the same is mapped, all else is a comment."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO

import pytest
import yaml
from django.core.management import call_command

from brokers.models import BrokerAccount
from orders.migrate.configuration import MARK, OTHER_MEANINGS, changed_value, convert
from orders.migrate.mapping import configuration_change
from orders.migrate.values import Reader
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
  max_exposure_per_sector: 0.2
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
        "risk": {
            "max_order_notional": 5000,
            "portfolio_risk_limit": 75000,
            "max_broker_allocation": 1,
            "max_daily_loss": 2000,
        },
    }


def test_what_means_something_else_is_a_comment_with_the_reason(old):
    text = converted(old())
    for (section, key), meaning in OTHER_MEANINGS.items():
        if f"{key}:" in OLD:
            assert f"  # old {section}.{key}: " in text
            assert meaning in text


@pytest.mark.django_db
def test_limit_by_sector_waits_as_a_comment_that_the_desk_takes_when_it_is_none(old, tmp_path):
    new = tmp_path / "new.yaml"
    new.write_text(converted(old()).replace("# max_sector_exposure", "max_sector_exposure"))
    limits = {limit.control: limit.value for limit in plan(new).parsed["risk"].limits()}
    assert limits["max_sector_exposure"] == 20000


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


def test_password_that_stood_in_a_url_is_not_carried_over(old):
    new = converted(old("sqlite:///data/trading.db", "postgresql://desk:hunter2@db.example/desk"))
    assert yaml.safe_load(new)["database"]["url"] == "postgresql://desk:${DATABASE_PASSWORD}@db.example/desk"
    assert "hunter2" not in new


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
    of_value = {"max_order_notional", "portfolio_risk_limit"} if value else set()
    assert {limit.control for limit in limits_in_force()} == {"max_broker_allocation", "max_daily_loss", *of_value}


@pytest.mark.django_db
def test_the_given_file_is_taken_by_the_desk(shared, old, tmp_path):
    old()  # for the keys
    new = tmp_path / "new.yaml"
    new.write_text(converted(shared / "legacy" / "config.yaml", "100000"))
    limits = {limit.control: limit.value for limit in plan(new).parsed["risk"].limits()}
    of_value = {"max_order_notional": 5000, "portfolio_risk_limit": 75000}
    assert limits == {**of_value, "max_broker_allocation": 1, "max_daily_loss": 2000}


def test_limits_wait_where_the_portfolios_value_is_not_known(old):
    text = converted(old(), None)
    assert "# max_order_notional: ..." in text
    assert yaml.safe_load(text)["risk"] == {"max_broker_allocation": 1, "max_daily_loss": 2000}


def test_file_without_a_broker_is_refused(old):
    with pytest.raises(InvalidInput, match="NOT_A_LEGACY_CONFIGURATION"):
        converted(old("broker:", "brokre:"))


@pytest.mark.parametrize(
    ("section", "value"),
    [
        ("broker", {"api_key": "PKCANARY1", "name": "alpaca"}),
        ("broker", [{"accounts": {"secretKey": "PKCANARY1"}}]),
        ("broker.secret_key", "PKCANARY1"),
        ("broker", "{'api_key': 'PKCANARY1', cut off"),
        ("broker", 'secret_key = "PKCANARY1"'),
        ("database", {"url": "postgres://desk:PKCANARY1@db.example/desk"}),
    ],
)
def test_secret_in_an_old_change_of_configuration_is_left_out(section, value):
    row = {"config_section": section, "changed_at": "2024-01-02T03:04:05", "old_value": None, "id": 1}
    text = value if isinstance(value, str) and not section.endswith("key") else json.dumps(value)
    columns = configuration_change(Reader(row | {"new_value": text}, datetime.now(UTC)))
    assert "PKCANARY1" not in repr(columns)
    assert "PKCANARY1" not in changed_value(text, section)


@pytest.mark.parametrize("text", ['{"max":  0.1}', "0,05", None, '"plain"', '{"api_key": "${ALPACA_API_KEY}"}'])
def test_old_change_without_a_secret_is_kept_as_it_was_written(text):
    assert changed_value(text, "risk") == text
