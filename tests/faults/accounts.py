"""The accounts that the matrix trades through: how the venue has them, and how the desk is configured for them.

Another broker's account is one more entry here and in `CONFIGURED`; its faults are in `catalogue`, by its kind, and
what its venue's record looks like in `venue`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.brokers.sandbox_process import SandboxProcess

READ_TIMEOUT_S = 2.0
CASH = 5_000_000
MAX_ORDER_QTY = 38  # of 1 to 40 that the script asks for, so that some are denied


@dataclass(frozen=True, slots=True)
class TestedAccount:
    """One account; `profile` is what differs from config/sandbox.yaml at the venue."""

    name: str
    kind: str
    share: float
    profile: Mapping[str, Any]


ACCOUNTS = (
    TestedAccount("alpaca", "alpaca", 0.4, {"starting_cash": CASH, "partial_fill_probability": 0.2}),
    TestedAccount(
        "alpaca_margin",
        "alpaca",
        0.3,
        {
            "starting_cash": CASH,
            "partial_fill_probability": 0.3,
            "ack_delay_ms": 30,
            "cancel_delay_ms": 60,
            "market_fill_delay_ms": 40,
        },
    ),
    TestedAccount(
        "interactive_brokers",
        "interactive_brokers",
        0.3,
        {
            "starting_cash": CASH,
            "partial_fill_probability": 0.2,
            "ack_delay_ms": 20,
            "tws": {
                "max_working_per_side": 1000,
                "commission_delay_ms": 30,
                "status_twice_probability": 0.2,
                "filled_first_probability": 0.1,
            },
        },
    ),
)
CLIENT_ID = 101
SYMBOLS = ["IBM", "BAC"]


def profiles() -> dict[str, dict[str, Any]]:
    """What the sandbox is started with."""
    return {account.name: dict(account.profile) for account in ACCOUNTS}


def configure(path: Path, sandbox: SandboxProcess, portfolio_risk_limit: int) -> dict[str, str]:
    """Write the desk's configuration file; the variables with its secrets."""
    secrets: dict[str, str] = {}
    brokers = {account.name: CONFIGURED[account.kind](account, sandbox, secrets) for account in ACCOUNTS}
    risk = {
        "max_order_qty": MAX_ORDER_QTY,
        "max_order_notional": 1_000_000,
        "portfolio_risk_limit": portfolio_risk_limit,
        "max_broker_allocation": 0.9,
        "max_quote_age": 60,
        "max_quote_lag": 3600,
    }
    path.write_text(yaml.safe_dump({"brokers": brokers, "risk": risk}, sort_keys=False))
    return secrets


def _alpaca(account: TestedAccount, sandbox: SandboxProcess, secrets: dict[str, str]) -> dict[str, Any]:
    names = [f"FAULTS_{account.name.upper()}_{what}" for what in ("KEY", "SECRET")]
    secrets |= dict(zip(names, sandbox.keys(account.name), strict=True))
    return {
        "adapter": account.kind,
        "enabled": True,
        "allocation_percent": account.share,
        "paper_trading": True,
        "api_key": f"${{{names[0]}}}",
        "secret_key": f"${{{names[1]}}}",
        "base_url": sandbox.url,
        "connect_timeout": 1.0,
        "read_timeout": READ_TIMEOUT_S,
    }


def _interactive_brokers(account: TestedAccount, sandbox: SandboxProcess, secrets: dict[str, str]) -> dict[str, Any]:
    return {
        "adapter": account.kind,
        "enabled": True,
        "allocation_percent": account.share,
        "paper_trading": True,
        "host": "127.0.0.1",
        "port": sandbox.tws_port(account.name),
        "client_id": CLIENT_ID,
        "account_id": sandbox.tws_account_id(account.name),
        "symbols": SYMBOLS,
        "request_timeout": READ_TIMEOUT_S,
        "answer_timeout": READ_TIMEOUT_S,
    }


CONFIGURED: dict[str, Callable[[TestedAccount, SandboxProcess, dict[str, str]], dict[str, Any]]] = {
    "alpaca": _alpaca,
    "interactive_brokers": _interactive_brokers,
}
