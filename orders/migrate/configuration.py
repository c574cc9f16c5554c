"""The old system's YAML as a configuration of the desk. What is mapped, and from what:

    brokers.<name>                      broker: name, paper_trading, api_key, secret_key
    brokers.<name>.base_url             broker.base_url, unless it is Alpaca's own (the adapter knows those)
    brokers.<name>.feed                 broker.market_data_feed
    brokers.<name>.allocation_percent   1: there is one account
    database.url                        database.url
    risk.max_order_notional             risk.max_exposure_per_trade × the portfolio's value
    risk.portfolio_risk_limit           trading.max_positions × risk.max_exposure_per_trade × the portfolio's value
    risk.max_broker_allocation          1: there is one account
    risk.max_daily_loss                 trading.max_daily_loss, an amount there and here
    risk.max_sector_exposure            risk.max_exposure_per_sector × the portfolio's value, as a comment to take away
                                        once symbols have sectors: the desk refuses orders in one without

The old shares of the portfolio are amounts here, so they are worked out with the portfolio's value as it was last
known; where that is not known they are left out, and the desk takes no orders before a person fills them in. The old
`portfolio_risk_limit` is a share at risk, not gross exposure, in spite of its name: like everything else that means
something else here or nothing, it is kept as a comment.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from tradingdesk.config.document import read_document
from tradingdesk.config.references import REFERENCE
from tradingdesk.errors import InvalidInput
from tradingdesk.fields import plain
from tradingdesk.redaction.known import LITERAL_PASSWORD, MASK, redact

MARK = "# ----- kept from the old file; the desk does not use it -----"
ALPACA_HOSTS = ("https://paper-api.alpaca.markets", "https://api.alpaca.markets")
SECRETS = ("api_key", "secret_key")
OTHER_MEANINGS = {
    ("risk", "portfolio_risk_limit"): "a share of the portfolio at risk; here the name means gross exposure in USD",
    ("risk", "max_correlation"): "the desk has no limit of correlation",
    ("risk", "enabled"): "the gate cannot be switched off",
    ("trading", "position_size_percent"): "a size that strategies aimed at, not a limit",
}
_PUT_IT_THERE = "   # the old file had the value itself: put it into the environment, and change it"
_SECRET_WORDS = ("key", "secret", "token", "password", "passphrase")
_WRITTEN_SECRET = re.compile(
    rf"""((?:{"|".join(_SECRET_WORDS)})["']?\s*[:=]\s*["']?)(?!\$\{{)[^"',\s}}]+""", re.IGNORECASE
)


def convert(path: Path, *, broker_name: str, portfolio_value: Decimal | None) -> str:
    """Write the new configuration's text from the old file.

    Raises:
        InvalidInput: it cannot be read, or has no broker section.
    """
    old = read_document(path).data
    broker = old.get("broker")
    if not isinstance(broker, dict):
        raise InvalidInput("NOT_A_LEGACY_CONFIGURATION", f"{path}: no section broker:", "config")
    lines = [f"# Made from {path.name} of the single-broker system by migrate_to_multi_broker.", ""]
    lines += [*_brokers(broker, broker_name), "", *_database(old), *_risk(old, portfolio_value), ""]
    return "\n".join([*lines, *_kept(old)]) + "\n"


def account_settings(path: Path) -> dict[str, Any]:
    """The adapter's settings in the old file, with secrets as references."""
    broker = read_document(path).data.get("broker")
    return dict(_settings(broker)) if isinstance(broker, dict) else {}


def _brokers(broker: dict[str, Any], broker_name: str) -> Iterator[str]:
    adapter = str(broker.get("name") or broker_name)
    yield "brokers:"
    yield f"  {broker_name}:"
    if adapter != broker_name:
        yield f"    adapter: {adapter}"
    yield "    enabled: true"
    yield "    allocation_percent: 1            # there is one account; give the next one its share of it"
    for key, value in _settings(broker):
        yield f"    {key}: {_scalar(value)}{_was_literal(broker, key)}"


def _settings(broker: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    if isinstance(broker.get("paper_trading"), bool):
        yield "paper_trading", broker["paper_trading"]
    for key in SECRETS:
        given = str(broker.get(key) or "")
        name = f"{broker.get('name') or 'broker'}_{key}".upper()
        yield key, given if REFERENCE.fullmatch(given) else f"${{{name}}}"
    base_url = str(broker.get("base_url") or "")
    if base_url and base_url.rstrip("/").removesuffix("/v2") not in ALPACA_HOSTS:
        yield "base_url", _without_password(base_url, f"{broker.get('name') or 'broker'}_password".upper())
    if broker.get("market_data_feed"):
        yield "feed", broker["market_data_feed"]


def _was_literal(broker: dict[str, Any], key: str) -> str:
    literal = key in SECRETS and broker.get(key) and not REFERENCE.fullmatch(str(broker[key]))
    return _PUT_IT_THERE if literal else ""


def _without_password(url: str, name: str) -> str:
    """A URL that refers to its password; one that was written into it is left out."""
    return LITERAL_PASSWORD.sub(rf"\1${{{name}}}", url)


def _database(old: dict[str, Any]) -> Iterator[str]:
    database = old.get("database")
    if isinstance(database, dict) and database.get("url"):
        url = _without_password(str(database["url"]), "DATABASE_PASSWORD")
        yield "database:"
        yield f"  url: {_scalar(url)}{'' if url == database['url'] else _PUT_IT_THERE}"
        yield ""


def _risk(old: dict[str, Any], portfolio_value: Decimal | None) -> Iterator[str]:
    per_trade, positions = _positive(old, "risk", "max_exposure_per_trade"), _positive(old, "trading", "max_positions")
    yield "risk:"
    yield from _amount("max_order_notional", "risk.max_exposure_per_trade", [per_trade, portfolio_value])
    of_whole = "trading.max_positions × risk.max_exposure_per_trade"
    yield from _amount("portfolio_risk_limit", of_whole, [positions, per_trade, portfolio_value])
    yield "  max_broker_allocation: 1             # there is one account"
    if (daily_loss := _positive(old, "trading", "max_daily_loss")) is not None:
        yield f"  max_daily_loss: {plain(daily_loss)}          # trading.max_daily_loss; past it nothing adds exposure"
    if (per_sector := _positive(old, "risk", "max_exposure_per_sector")) is not None:
        amount = "..." if portfolio_value is None else plain(round(per_sector * portfolio_value, 2))
        yield f"  # max_sector_exposure: {amount}          # risk.max_exposure_per_sector × the portfolio's value"
        yield "  #   take the first # away once your symbols have sectors: an order in one without is refused then"
    for (section, key), meaning in OTHER_MEANINGS.items():
        if (found := _value(old, section, key)) is not None:
            yield f"  # old {section}.{key}: {_scalar(found)} is not carried over: {meaning}"


def _amount(key: str, origin: str, factors: list[Decimal | None]) -> Iterator[str]:
    """A limit in USD, or the line to fill in where a factor is not known."""
    if None in factors:
        unknown = "the portfolio's value" if factors[-1] is None else origin
        yield f"  # {key}: ...  # {origin} × the portfolio's value; {unknown} is not known. Without it nothing trades"
        return
    product = Decimal(1)
    for factor in factors:
        product *= factor
    figures = " × ".join(str(plain(factor)) for factor in factors)
    yield f"  {key}: {plain(round(product, 2))}          # {origin} × the portfolio's value: {figures}"


def _kept(old: dict[str, Any]) -> Iterator[str]:
    """What the desk does not use, as a comment; secrets are left out."""
    used = {"broker": {"name", "paper_trading", *SECRETS, "base_url", "market_data_feed"}, "database": {"url"}}
    rest: dict[str, Any] = {}
    for section, values in old.items():
        left = values
        if section in used and isinstance(values, dict):
            left = {key: value for key, value in values.items() if key not in used[section]}
        if left not in ({}, None):
            rest[section] = without_secrets(left)
    if rest:
        yield MARK
        text = yaml.safe_dump(_plain(rest), sort_keys=False, allow_unicode=True, width=100)
        yield from (f"# {line}".rstrip() for line in text.splitlines())


def without_secrets(value: Any, name: str = "") -> Any:
    """A configuration's values, with what has a secret's name left out, unless it is a reference.

    In a text, such as JSON that does not parse, a value that follows such a name is left out.
    """
    if isinstance(value, dict):
        return {key: without_secrets(child, str(key)) for key, child in value.items()}
    if isinstance(value, list):
        return [without_secrets(child, name) for child in value]
    if name.lower().endswith(_SECRET_WORDS):
        return MASK if value and not REFERENCE.fullmatch(str(value)) else value
    return redact(_WRITTEN_SECRET.sub(rf"\1{MASK}", value)) if isinstance(value, str) else value


def changed_value(text: Any, section: str) -> Any:
    """A value of `configuration_history` as a quarantined row keeps it: as it was written, but for secrets."""
    try:
        whole = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return without_secrets(text, section)
    masked = without_secrets(whole, section)
    return text if masked == whole else json.dumps(masked)


def _value(old: dict[str, Any], section: str, key: str) -> Any:
    found = old.get(section)
    return found.get(key) if isinstance(found, dict) else None


def _positive(old: dict[str, Any], section: str, key: str) -> Decimal | None:
    """A number above 0, or None."""
    found = _value(old, section, key)
    numeric = isinstance(found, int | Decimal) and not isinstance(found, bool)
    return Decimal(found) if numeric and Decimal(found).is_finite() and found > 0 else None


def _scalar(value: Any) -> str:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return yaml.safe_dump(_plain(value), default_flow_style=True, width=10_000).splitlines()[0]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_plain(child) for child in value]
    return float(value) if isinstance(value, Decimal) else value
