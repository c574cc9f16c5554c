"""The sandbox's profile: its accounts, their rules, speeds and faults, and the assets, from a YAML file."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from brokers.sandbox.ledger import AccountRules

NAMESPACE = uuid.UUID("5f1d3a52-6f0e-4c39-9a3b-2b8a5d0e7c11")
Probability = Field(default=0.0, ge=0.0, le=1.0)


class ProfileError(Exception):
    """The profile cannot be used; one line that names the place."""


class FaultOdds(BaseModel):
    """How often, by chance, a request of the account goes wrong; see `faults.py` for what each does."""

    model_config = ConfigDict(extra="forbid")

    drop_before: float = Probability
    drop_after: float = Probability
    error_500_before: float = Probability
    error_500_after: float = Probability
    error_504_before: float = Probability
    error_504_after: float = Probability
    error_429: float = Probability


class TwsProfile(BaseModel):
    """What only an account at Interactive Brokers has: the TWS or Gateway that it is reached through."""

    model_config = ConfigDict(extra="forbid")

    account_id: str = Field(default="DU1000001", pattern=r"^[A-Z]+\d+$")
    port: int = Field(default=0, ge=0, le=65_535)
    master_client_id: int | None = None
    read_only: bool = False
    fractional_orders: bool = False
    market_data: Literal["live", "delayed", "none"] = "live"
    execution_days: int = Field(default=1, ge=1, le=7)
    max_messages_per_s: int = Field(default=50, ge=1)
    max_working_per_side: int = Field(default=20, ge=1)
    commission_delay_ms: float = Field(default=5, ge=0, le=60_000)
    status_twice_probability: float = Probability
    filled_first_probability: float = Probability


class AccountProfile(BaseModel):
    """One account as the file describes it. Keys are Alpaca's; who connects to a TWS needs none."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["alpaca", "interactive_brokers"] = "alpaca"
    api_key: str = ""
    secret_key: SecretStr = SecretStr("")
    tws: TwsProfile = TwsProfile()
    starting_cash: Decimal = Field(default=Decimal(100_000), ge=0)
    multiplier: Decimal = Field(default=Decimal(1), ge=1, le=4)
    shorting: bool = False
    refuse_wash_trades: bool = False
    fee_per_share: Decimal = Field(default=Decimal(0), ge=0)
    fee_min: Decimal = Field(default=Decimal(0), ge=0)
    fee_max_share: Decimal | None = Field(default=None, gt=0, le=1)
    latency_ms: float = Field(default=0, ge=0, le=60_000)
    ack_delay_ms: float = Field(default=0, ge=0, le=60_000)
    cancel_delay_ms: float = Field(default=0, ge=0, le=60_000)
    market_fill_delay_ms: float = Field(default=0, ge=0, le=60_000)
    partial_fill_probability: float = Probability
    rate_limit_per_minute: int = Field(default=200, ge=1)
    seed: int = 0
    faults: FaultOdds = FaultOdds()

    @model_validator(mode="after")
    def _has_keys(self) -> AccountProfile:
        if self.kind == "alpaca" and not (self.api_key and self.secret_key.get_secret_value()):
            raise ValueError("an account at Alpaca needs api_key and secret_key")
        return self

    def rules(self) -> AccountRules:
        """The part of it that the engine goes by."""
        return AccountRules(
            starting_cash=self.starting_cash,
            multiplier=self.multiplier,
            shorting=self.shorting,
            may_cross_zero=self.kind == "interactive_brokers" and self.shorting,
            refuse_wash_trades=self.refuse_wash_trades,
            fee_per_share=self.fee_per_share,
            fee_min=self.fee_min,
            fee_max_share=self.fee_max_share,
            partial_fill_probability=self.partial_fill_probability,
            ack_delay_s=self.ack_delay_ms / 1000,
            cancel_delay_s=self.cancel_delay_ms / 1000,
            market_fill_delay_s=self.market_fill_delay_ms / 1000,
            seed=self.seed,
        )


class AssetProfile(BaseModel):
    """What the venue says of one symbol."""

    model_config = ConfigDict(extra="forbid")

    name: str = ""
    exchange: Literal["AMEX", "ARCA", "BATS", "NYSE", "NASDAQ", "NYSEARCA", "OTC"] = "NYSE"
    industry: str = ""
    tradable: bool = True
    marginable: bool = True
    shortable: bool = True
    fractionable: bool = True


class Profile(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid")

    seed: int = 0
    session_break_s: float = Field(default=2.0, ge=0)
    accounts: dict[str, AccountProfile] = Field(min_length=1)
    assets: dict[str, AssetProfile] = {}

    def of_kind(self, kind: str) -> dict[str, AccountProfile]:
        """The accounts that are reached in one broker's way."""
        return {name: account for name, account in self.accounts.items() if account.kind == kind}


@dataclass(frozen=True, slots=True)
class Asset:
    """One symbol of the venue. Its id is made from the symbol, so it is the same in every run."""

    symbol: str
    about: AssetProfile

    @property
    def asset_id(self) -> str:
        """The venue's id of the asset."""
        return stable_id("asset", self.symbol)


def stable_id(*parts: str) -> str:
    """An id that is the same in every run of every sandbox."""
    return str(uuid.uuid5(NAMESPACE, ":".join(parts)))


def load_profile(path: Path) -> Profile:
    """Read a profile. Raises ProfileError, one line, when it is missing or wrong."""
    try:
        profile = Profile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ProfileError(f"{path}: {error.strerror or error}") from error
    except yaml.YAMLError as error:
        raise ProfileError(f"{path}: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise ProfileError(f"{path}: {'.'.join(map(str, first['loc'])) or 'file'}: {first['msg']}") from error
    _refuse_repeats(path, "api_key", [account.api_key for account in profile.of_kind("alpaca").values()])
    tws = [account.tws.account_id for account in profile.of_kind("interactive_brokers").values()]
    _refuse_repeats(path, "account_id", tws)
    return profile


def _refuse_repeats(path: Path, what: str, values: list[str]) -> None:
    if len(set(values)) != len(values):
        raise ProfileError(f"{path}: accounts: two accounts have the same {what}")
