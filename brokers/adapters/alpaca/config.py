"""The settings of one Alpaca account, and what can be wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from alpaca.common.enums import BaseURL

FEEDS = ("iex", "sip", "delayed_sip", "boats", "overnight", "otc")
KNOWN = (
    "api_key",
    "secret_key",
    "account_id",
    "paper_trading",
    "base_url",
    "data_url",
    "feed",
    "stream",
    "connect_timeout",
    "read_timeout",
)
SECRETS = ("api_key", "secret_key")
URLS = ("base_url", "data_url")
TIMEOUTS = {"connect_timeout": 3.0, "read_timeout": 12.0}


@dataclass(frozen=True, slots=True)
class AlpacaSettings:
    """Where an account is and how long to wait for it, in seconds; `timeout` is (connect, between two bytes read).

    With `account_id`, the account's number at Alpaca, keys of any other account are refused.
    """

    api_key: str
    secret_key: str
    trading_url: str
    data_url: str
    paper_trading: bool = True
    feed: str = "iex"
    stream: bool = True
    account_id: str = ""
    timeout: tuple[float, float] = (TIMEOUTS["connect_timeout"], TIMEOUTS["read_timeout"])

    @property
    def stream_url(self) -> str:
        """Where trade updates are streamed."""
        return f"{_websocket(self.trading_url)}/stream"

    @property
    def data_stream_url(self) -> str:
        """Where quotes of the feed are streamed."""
        at_alpaca = self.data_url == BaseURL.DATA.value
        host = BaseURL.MARKET_DATA_STREAM.value if at_alpaca else _websocket(self.data_url)
        return f"{host}/v2/{self.feed}"

    def __repr__(self) -> str:
        """Leave the keys out, so that no log or traceback shows them."""
        return f"AlpacaSettings(trading_url={self.trading_url!r}, paper_trading={self.paper_trading})"


def read_settings(settings: Mapping[str, Any]) -> AlpacaSettings:
    """Build the typed settings from checked ones.

    Raises:
        ValueError: what `settings_errors` found.
    """
    if errors := settings_errors(settings):
        raise ValueError("; ".join(errors))
    paper = settings.get("paper_trading", True)
    default = BaseURL.TRADING_PAPER if paper else BaseURL.TRADING_LIVE
    base_url = settings.get("base_url") or ""
    return AlpacaSettings(
        api_key=settings["api_key"],
        secret_key=settings["secret_key"],
        trading_url=_root(base_url or default.value),
        data_url=_root(settings.get("data_url") or base_url or BaseURL.DATA.value),
        paper_trading=paper,
        feed=settings.get("feed") or "iex",
        stream=settings.get("stream", True),
        account_id=(settings.get("account_id") or "").strip(),
        timeout=tuple(float(settings.get(key) or default) for key, default in TIMEOUTS.items()),
    )


def settings_errors(settings: Mapping[str, Any]) -> list[str]:
    """Say what is wrong, one line a setting: its key, then the fix. Never shows a key's value."""
    return [
        *(f"{key}: set it to the key of the Alpaca account" for key in SECRETS if not _is_text(settings.get(key))),
        *_url_errors(settings),
        *_place_errors(settings),
        *_value_errors(settings),
        *(f"{key}: not a setting of alpaca; use one of {', '.join(KNOWN)}" for key in settings if key not in KNOWN),
    ]


def _url_errors(settings: Mapping[str, Any]) -> list[str]:
    return [
        f"{key}: give a URL such as https://host or http://127.0.0.1:8001, or leave it out"
        for key in URLS
        if settings.get(key) and not _is_url(settings[key])
    ]


def _place_errors(settings: Mapping[str, Any]) -> list[str]:
    """Refuse a URL of the other kind of account: an order meant for paper must not reach the market."""
    paper = settings.get("paper_trading", True)
    if not isinstance(paper, bool):
        return ["paper_trading: write true or false"]
    other = BaseURL.TRADING_LIVE if paper else BaseURL.TRADING_PAPER
    base_url = settings.get("base_url") or ""
    if _is_url(base_url) and urlsplit(base_url).hostname == urlsplit(other.value).hostname:
        return [f"base_url: {other.value} is not for paper_trading: {str(paper).lower()}; change one of the two"]
    return []


def _value_errors(settings: Mapping[str, Any]) -> list[str]:
    errors = []
    if settings.get("account_id") and not _is_text(settings["account_id"]):
        errors.append("account_id: give the account's number as Alpaca shows it, or leave it out")
    if settings.get("feed") and settings["feed"] not in FEEDS:
        errors.append(f"feed: use one of {', '.join(FEEDS)}")
    if not isinstance(settings.get("stream", True), bool):
        errors.append("stream: write true or false")
    errors += [f"{key}: give seconds above 0 and up to 60" for key in TIMEOUTS if not _is_seconds(settings.get(key))]
    return errors


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_url(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False


def _is_seconds(value: Any) -> bool:
    if value is None:
        return True
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 60


def _root(url: str) -> str:
    """The URL as alpaca-py wants it: without the version, which it adds itself."""
    return url.rstrip("/").removesuffix("/v2")


def _websocket(url: str) -> str:
    return "ws" + url.removeprefix("http")
