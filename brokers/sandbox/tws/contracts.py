"""Stocks as TWS names them: contract ids, exchanges, and what it tells of a contract."""

from __future__ import annotations

from brokers.sandbox.accounts import Asset, stable_id
from brokers.sandbox.tws.layouts import CONTRACT_DETAILS
from brokers.sandbox.tws.requests import ContractSpec
from brokers.sandbox.venue import Venue

KNOWN = {"AAPL": 265598, "BAC": 10098, "IBM": 8314, "SPY": 756733}
ORDER_TYPES = "ACTIVETIM,DAY,FOK,GTC,IOC,LMT,LOC,MKT,MOC,OPG,STP,STPLMT,TRAIL,WHATIF"
TIME_ZONE = "America/New_York"


def con_id(symbol: str) -> int:
    """The contract's id: the real one of a few, else made from the symbol, the same in every run."""
    return KNOWN.get(symbol) or 100_000_000 + int(stable_id("contract", symbol)[:7], 16)


def find(venue: Venue, spec: ContractSpec) -> Asset | None:
    """The stock that the client means, by id or by symbol; None when the venue has no such contract."""
    if spec.con_id:
        return next((asset for symbol, asset in venue.assets.items() if con_id(symbol) == spec.con_id), None)
    asset = venue.assets.get(spec.symbol or spec.local_symbol.upper())
    if asset is None or spec.sec_type != "STK" or spec.currency not in ("", "USD"):
        return None
    return asset if spec.exchange in ("", "SMART", asset.about.exchange) else None


def position_fields(symbol: str, exchange: str = "") -> list:
    """The eleven contract fields of positions: id, symbol, type, expiry, strike, right, multiplier and names."""
    return [con_id(symbol), symbol, "STK", "", "0.0", "", "", exchange, "USD", symbol, "NMS"]


def portfolio_fields(symbol: str, exchange: str) -> list:
    """The same of the portfolio, where the exchange is the primary one."""
    return [con_id(symbol), symbol, "STK", "", "0", "0", "", exchange, "USD", symbol, "NMS"]


def details(request_id: int, asset: Asset, fractional: bool) -> list:
    """The contract's details."""
    hours = "20260102:0000-20991231:2359"
    return CONTRACT_DETAILS.fields(
        request_id=request_id,
        symbol=asset.symbol,
        local_symbol=asset.symbol,
        con_id=con_id(asset.symbol),
        order_types=ORDER_TYPES,
        valid_exchanges=f"SMART,{asset.about.exchange}",
        long_name=asset.about.name or asset.symbol,
        primary_exchange=asset.about.exchange,
        industry=asset.about.industry,
        time_zone_id=TIME_ZONE,
        trading_hours=hours,
        liquid_hours=hours,
        min_size="0.0001" if fractional else "1",
        size_increment="0.0001" if fractional else "1",
    )
