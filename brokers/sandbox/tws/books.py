"""Positions, account values and the portfolio, as TWS lists them."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from brokers.sandbox.book import ZERO
from brokers.sandbox.tws import contracts
from brokers.sandbox.tws.framing import plain
from brokers.sandbox.tws.gateway import Gateway
from brokers.sandbox.tws.words import ZONE, Message, price

CENT = Decimal("0.01")
MAINTENANCE = Decimal("0.3")


def positions(gateway: Gateway, symbols: Iterable[str] | None = None) -> list[Message]:
    """The account's positions, or those of some symbols, flat ones among them."""
    holdings = gateway.venue.engine.accounts[gateway.name].holdings
    wanted = sorted(holdings) if symbols is None else sorted(symbols)
    return [_position(gateway, symbol) for symbol in wanted]


def portfolio(gateway: Gateway, symbols: Iterable[str] | None = None) -> list[Message]:
    """The same with market prices."""
    holdings = gateway.venue.engine.accounts[gateway.name].holdings
    wanted = sorted(holdings) if symbols is None else sorted(symbols)
    return [_portfolio(gateway, symbol) for symbol in wanted]


def account_values(gateway: Gateway) -> list[tuple[str, str, str]]:
    """(key, value, currency) of the account."""
    engine = gateway.venue.engine
    account = engine.accounts[gateway.name]
    equity, gross = account.equity(engine.mark), account.gross(engine.mark)
    net = sum((h.qty * engine.mark(s) for s, h in account.holdings.items()), ZERO)
    cost = sum((h.qty * h.avg_px for h in account.holdings.values()), ZERO)
    initial = gross / account.rules.multiplier
    maintenance = gross * (MAINTENANCE if account.rules.multiplier > 1 else 1)
    money = {
        "AccruedCash": ZERO,
        "AvailableFunds": equity - initial,
        "BuyingPower": account.buying_power(engine.mark),
        "CashBalance": account.cash,
        "EquityWithLoanValue": equity,
        "ExcessLiquidity": equity - maintenance,
        "FullInitMarginReq": initial,
        "FullMaintMarginReq": maintenance,
        "GrossPositionValue": gross,
        "InitMarginReq": initial,
        "MaintMarginReq": maintenance,
        "NetLiquidation": equity,
        "NetLiquidationByCurrency": equity,
        "RealizedPnL": equity - account.begun_with - (net - cost),
        "SettledCash": account.cash,
        "StockMarketValue": net,
        "TotalCashBalance": account.cash,
        "TotalCashValue": account.cash,
        "UnrealizedPnL": net - cost,
    }
    said = {"AccountCode": gateway.account_id, "AccountReady": "true", "AccountType": "INDIVIDUAL", "Currency": "USD"}
    words = [(key, value, "USD" if key == "Currency" else "") for key, value in said.items()]
    return [*words, *((key, _cents(value), "USD") for key, value in money.items()), ("ExchangeRate", "1.00", "USD")]


def updates(gateway: Gateway, symbols: Iterable[str] | None = None) -> list[Message]:
    """Account values, portfolio and their time, as a subscriber gets them."""
    values = [[6, 2, key, value, currency, gateway.account_id] for key, value, currency in account_values(gateway)]
    at = gateway.venue.clock().astimezone(ZONE)
    return [*values, *portfolio(gateway, symbols), [8, 1, f"{at:%H:%M}"]]


def multi(gateway: Gateway, request_id: int, model: str) -> list[Message]:
    """Account values for a request."""
    values = account_values(gateway)
    return [[73, 1, request_id, gateway.account_id, model, key, value, currency] for key, value, currency in values]


def summary(gateway: Gateway, request_id: int, tags: str) -> list[Message]:
    """The account values that `tags` names, or all."""
    wanted = {tag.strip() for tag in tags.split(",")}
    everything = "All" in wanted or any(tag.startswith("$LEDGER") for tag in wanted)
    values = [(k, v, c) for k, v, c in account_values(gateway) if everything or k in wanted]
    return [[63, 1, request_id, gateway.account_id, key, value, currency] for key, value, currency in values]


def _position(gateway: Gateway, symbol: str) -> Message:
    holding = gateway.venue.engine.accounts[gateway.name].holdings.get(symbol)
    qty, average = (holding.qty, holding.avg_px) if holding else (ZERO, ZERO)
    contract = contracts.position_fields(symbol, gateway.venue.assets[symbol].about.exchange)
    return [61, 3, gateway.account_id, *contract, plain(qty), price(average)]


def _portfolio(gateway: Gateway, symbol: str) -> Message:
    holding = gateway.venue.engine.accounts[gateway.name].holdings.get(symbol)
    qty, average = (holding.qty, holding.avg_px) if holding else (ZERO, ZERO)
    mark = gateway.venue.engine.mark(symbol)
    contract = contracts.portfolio_fields(symbol, gateway.venue.assets[symbol].about.exchange)
    money = [mark, _cents(qty * mark), price(average), _cents(qty * (mark - average)), "0.0"]
    return [7, 8, *contract, qty, *money, gateway.account_id]


def _cents(value: Decimal) -> str:
    return str(value.quantize(CENT))
