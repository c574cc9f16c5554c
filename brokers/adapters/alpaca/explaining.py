"""What is wrong and how to put it right, in one line for a person: pure."""

from __future__ import annotations

import re

from brokers.messages import OTHER_ACCOUNT, UNAUTHORIZED, BrokerError

from .classification import UNREACHABLE
from .config import AlpacaSettings

# How urllib3 ends what it says of a connection that did not come about: ": [Errno 111] Connection refused'))".
_CAUSE = re.compile(r"(?:\[Errno -?\d+\] |SSLError\()?([^:\[\]()>]+)[)']*$")
_NO_ALPACA = re.compile(r"HTTP (3|4)\d\d: |alpaca's answer cannot be read")
_KIND = {True: "paper", False: "live"}


def explain(error: BrokerError, account: AlpacaSettings) -> str:
    """Say what a failed call means where the account's settings or keys are the reason; else what was said."""
    if error.code == UNAUTHORIZED:
        return f"{account.trading_url} refuses the keys ({error.text}): {_about_keys(account)}"
    if error.code == OTHER_ACCOUNT:
        return f"{error.text}: set account_id to the account that is meant, or give its keys"
    if error.code == UNREACHABLE:
        cause = _CAUSE.search(error.text)
        why = f" ({cause[1].strip()})" if cause else ""
        return f"nothing answers at {account.trading_url}{why}: check base_url, its port, and the network"
    if _NO_ALPACA.match(error.text):
        return f"{account.trading_url} does not answer as Alpaca does ({error.text}): check base_url and its port"
    return error.text


def _about_keys(account: AlpacaSettings) -> str:
    """Alpaca's key ids of paper accounts begin with PK, those of live ones with AK."""
    paper, other = _KIND[account.paper_trading], _KIND[not account.paper_trading]
    of = {"PK": "paper", "AK": "live"}.get(account.api_key[:2])
    if of == other:
        return f"they look like {other} keys, but paper_trading is {str(account.paper_trading).lower()}; change one"
    return f"set api_key and secret_key to valid ones of this {paper} account, as {other} keys do not work there"
