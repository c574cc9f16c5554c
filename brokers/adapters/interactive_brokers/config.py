"""The settings of one account at Interactive Brokers, and what can be wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

PAPER_PORTS, LIVE_PORTS = (4002, 7497), (4001, 7496)
SECONDS = {
    "connect_timeout": 5.0,
    "request_timeout": 7.0,
    "answer_timeout": 8.0,
    "commission_wait": 2.0,
    "heartbeat": 20.0,
}
MARKET_DATA = {"live": 1, "frozen": 2, "delayed": 3, "delayed_frozen": 4}
SYMBOLS_WANTED = "name what the desk may trade there, such as [AAPL, MSFT]: IB has no list of everything"
KNOWN = (
    "host",
    "port",
    "client_id",
    "account_id",
    "paper_trading",
    "symbols",
    "timezone",
    "market_data",
    *SECONDS,
)


@dataclass(frozen=True, slots=True)
class IBSettings:
    """Where TWS or IB Gateway listens, which account is meant, and how long to wait, in seconds.

    `request_timeout` is for questions, `answer_timeout` for TWS's first word about an order, a cancel or a change.
    `timezone` is that of TWS, for the times that older versions send without one.
    """

    host: str
    port: int
    client_id: int
    account_id: str
    paper_trading: bool = True
    symbols: tuple[str, ...] = ()
    timezone: str = "UTC"
    market_data: str = "live"
    connect_timeout: float = SECONDS["connect_timeout"]
    request_timeout: float = SECONDS["request_timeout"]
    answer_timeout: float = SECONDS["answer_timeout"]
    commission_wait: float = SECONDS["commission_wait"]
    heartbeat: float = SECONDS["heartbeat"]


def read_settings(settings: Mapping[str, Any]) -> IBSettings:
    """Build the typed settings from checked ones.

    Raises:
        ValueError: what `settings_errors` found.
    """
    if errors := settings_errors(settings):
        raise ValueError("; ".join(errors))
    paper = settings.get("paper_trading", True)
    return IBSettings(
        host=settings.get("host") or "127.0.0.1",
        port=int(settings.get("port") or (PAPER_PORTS if paper else LIVE_PORTS)[0]),
        client_id=int(settings["client_id"]),
        account_id=settings["account_id"].strip(),
        paper_trading=paper,
        symbols=tuple(settings.get("symbols") or ()),
        timezone=settings.get("timezone") or "UTC",
        market_data=settings.get("market_data") or "live",
        **{key: float(settings.get(key) or default) for key, default in SECONDS.items()},
    )


def settings_errors(settings: Mapping[str, Any]) -> list[str]:
    """Say what is wrong, one line a setting: its key, then the fix."""
    return [
        *_connection_errors(settings),
        *_account_errors(settings),
        *_value_errors(settings),
        *(f"{key}: not a setting of interactive_brokers; use one of {', '.join(KNOWN)}"
          for key in settings if key not in KNOWN),
    ]  # fmt: skip


def missing_symbols(settings: Mapping[str, Any]) -> list[str]:
    """Say that an account which names no symbols would trade nothing: IB has no list to read them from."""
    return [] if settings.get("symbols") else [f"symbols: {SYMBOLS_WANTED}"]


def _connection_errors(settings: Mapping[str, Any]) -> list[str]:
    errors, host, port = [], settings.get("host"), _whole(settings.get("port"))
    if host is not None and (not isinstance(host, str) or not host.strip() or "/" in host):
        errors.append("host: give the name or address of the machine that TWS or IB Gateway runs on, without a scheme")
    if settings.get("port") and (port is None or not 0 < port < 65536):
        errors.append("port: give the API port of TWS or IB Gateway, 4002 for a paper Gateway")
    client_id = _whole(settings.get("client_id"))
    if client_id is None or not 0 <= client_id < 2**31:
        errors.append("client_id: set a number that no other program uses at this TWS; it has to stay the same")
    return errors


def _account_errors(settings: Mapping[str, Any]) -> list[str]:
    """Refuse what looks like the other kind of account: an order meant for paper must not reach the market."""
    paper, account_id = settings.get("paper_trading", True), settings.get("account_id")
    if not isinstance(paper, bool):
        return ["paper_trading: write true or false"]
    errors = []
    if not isinstance(account_id, str) or not account_id.strip():
        errors.append("account_id: set it to the account as TWS shows it, DU1234567 for a paper account")
    elif paper != account_id.strip().upper().startswith("D"):
        kind = "starts with D as paper accounts do" if not paper else "does not start with D as paper accounts do"
        errors.append(f"account_id: {account_id} {kind}, but paper_trading is {str(paper).lower()}; change one of them")
    other = LIVE_PORTS if paper else PAPER_PORTS
    if _whole(settings.get("port")) in other:
        kind = "real money" if paper else "paper accounts"
        errors.append(f"port: {settings['port']} is for {kind}, but paper_trading is {str(paper).lower()}; change one")
    return errors


def _value_errors(settings: Mapping[str, Any]) -> list[str]:
    errors = [f"{key}: give seconds above 0 and up to 60" for key in SECONDS if not _is_seconds(settings.get(key))]
    symbols, market_data = settings.get("symbols"), settings.get("market_data")
    if symbols is not None and not _are_symbols(symbols):
        errors.append("symbols: give a list such as [AAPL, MSFT]")
    if market_data and market_data not in MARKET_DATA:
        errors.append(f"market_data: use one of {', '.join(MARKET_DATA)}")
    if settings.get("timezone") and not _is_zone(settings["timezone"]):
        errors.append("timezone: give the time zone that TWS runs in, such as America/New_York")
    return errors


def _whole(value: Any) -> int | None:
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _are_symbols(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(one, str) and one.strip() for one in value)


def _is_zone(value: Any) -> bool:
    try:
        return isinstance(value, str) and ZoneInfo(value) is not None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False


def _is_seconds(value: Any) -> bool:
    if value is None:
        return True
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 60
