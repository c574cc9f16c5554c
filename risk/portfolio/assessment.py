"""The risk of the whole portfolio: reads what is held at every broker, and answers with a report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from importlib import import_module

from django.conf import settings

from brokers.models import BrokerAccount
from risk.models import ExposureTotal
from risk.portfolio import histories, valuation
from risk.portfolio.concentration import Concentration, concentration, failure
from risk.portfolio.histories import Chosen
from risk.portfolio.rates import Rate
from risk.portfolio.valuation import Known
from risk.portfolio.words import BrokerFailure, Measured, PortfolioReport, Problem, ProposedTrade
from tradingdesk.errors import InvalidInput
from tradingdesk.fields import MONEY_PLACES, fit, plain
from tradingdesk.fix import AssetClass, Side

DEFAULT_TAIL = Decimal("0.05")
GROUPED_BY = {
    "symbol": "symbol",
    "sector": "sector",
    "currency": "currency",
    "broker": "broker",
    "account": "broker_name",
}
# What the protection of a broker's customers is about; other things are lost with the broker.
SECURITIES = (AssetClass.US_EQUITY, AssetClass.OPTION)
# numpy and scikit-learn take a second and some hundred megabytes: only a process that measures a portfolio loads them.
FIGURES = "risk.portfolio.figures"


def assess(*, tail: Decimal = DEFAULT_TAIL, trade: ProposedTrade | None = None) -> PortfolioReport:
    """Report the risk of what every enabled account holds, in the base currency, for one day ahead.

    With a trade, also what it would change; prices and daily bars of its symbol are read from now on for a while.
    Whatever cannot be valued or measured is left out of the figures that need it and named in `problems`.

    Raises:
        InvalidInput: the tail is not between 0 and 0.5, or no broker lists the trade's symbol.
    """
    if not 0 < tail < Decimal("0.5"):
        raise InvalidInput("INVALID_TAIL", f"tail={tail}: a share between 0 and 0.5 is needed", "tail")
    rows = list(ExposureTotal.objects.exclude(symbol="").exclude(position_qty=0).order_by("key"))
    known = valuation.read(rows, trade)
    report = PortfolioReport(as_of=known.now, base_currency=settings.DESK_BASE_CURRENCY, total_value=Decimal(0))
    report.problems += valuation.unusable(known)
    report.total_value = sum((valuation.worth(account, known) for account in valuation.counting(known)), Decimal(0))
    for row in rows:
        _add(report, row, known)
    report.concentrations = _concentrations(report)
    report.failures = _failures(report, known)
    report.measured = _measured(report, known, tail, trade)
    return report


def _add(report: PortfolioReport, row: ExposureTotal, known: Known) -> None:
    """Value one position, or say why it cannot be."""
    found = valuation.valued(row, known)
    if isinstance(found, Problem):
        report.problems.append(found)
        return
    if not row.mark_px:
        detail = f"{row.symbol}: no quote yet, valued at its last close {plain(found.mark_px)}"
        report.problems.append(Problem("PRICE_FROM_LAST_CLOSE", detail, row.symbol, row.broker_name))
    report.holdings.append(found)


def _concentrations(report: PortfolioReport) -> dict[str, Concentration]:
    return {
        by: concentration((getattr(holding, attribute), holding.value) for holding in report.holdings)
        for by, attribute in GROUPED_BY.items()
    }


def _failures(report: PortfolioReport, known: Known) -> list[BrokerFailure]:
    """What is lost with each broker; its protection is for a customer, whichever accounts that has there."""
    dollar = known.rates.get("USD")
    if dollar is None:
        detail = f"what is protected at a broker is in USD: no quote of it in {report.base_currency}"
        report.problems.append(Problem("NO_FX_RATE", detail))
        return []
    at_broker: dict[str, list[BrokerAccount]] = defaultdict(list)
    for account in valuation.counting(known):
        at_broker[account.adapter].append(account)
    found = [_failure(name, accounts, report, known, dollar) for name, accounts in at_broker.items()]
    return sorted(found, key=lambda one: (-one.loss.lost, one.broker))


def _failure(broker: str, accounts: list[BrokerAccount], report, known: Known, dollar: Rate) -> BrokerFailure:
    cash = sum((one.cash * known.rates[one.currency].px for one in accounts), Decimal(0))
    equity = sum((one.equity * known.rates[one.currency].px for one in accounts), Decimal(0))
    held = [one for one in report.holdings if one.broker == broker and one.asset_class not in SECURITIES]
    loss = failure(
        cash=fit(cash, MONEY_PLACES),
        positions=fit(equity - cash, MONEY_PLACES),
        unprotected=sum((one.value for one in held), Decimal(0)),
        ceiling_px=dollar.px,
    )
    share = fit(loss.lost / report.total_value, MONEY_PLACES) if report.total_value else None
    return BrokerFailure(broker, [one.broker_name for one in accounts], loss, share)


def _measured(report: PortfolioReport, known: Known, tail: Decimal, trade: ProposedTrade | None) -> Measured | None:
    """Take what has a history, say what has none, and work the figures out."""
    symbols = {holding.symbol for holding in report.holdings} | ({trade.symbol} if trade else set())
    chosen, missing = histories.split((symbol, _history(symbol, report, known)) for symbol in sorted(symbols))
    report.problems += missing
    values: dict[str, dict[str, Decimal]] = defaultdict(dict)
    for holding in report.holdings:
        if holding.symbol in chosen:
            values[holding.broker_name][holding.symbol] = holding.value
    proposed = _trade_value(trade, chosen, report, known)
    if not chosen or not (values or proposed):
        return None
    joined = histories.join(chosen)
    if isinstance(joined, Problem):
        report.problems.append(joined)
        return None
    brokers = {name: account.adapter for name, account in known.accounts.items()}
    measure = import_module(FIGURES).measure
    return measure(joined, values, tail=tail, gross=report.gross, brokers=brokers, trade=proposed)


def _history(symbol: str, report: PortfolioReport, known: Known) -> Chosen | Problem:
    found = histories.choose(symbol, known.told.get(symbol, {}), known.now.date())
    rate = known.rates.get(known.instruments[symbol].currency)
    if isinstance(found, Problem) or rate is None or not rate.pair:
        return found
    told = rate.history(known.told)
    if not told:
        detail = f"{symbol}: no daily bars of {rate.pair}, so the currency's own risk is left out"
        report.problems.append(Problem("NO_FX_HISTORY", detail, symbol=symbol))
        return found
    return histories.choose(symbol, {found.broker_name: histories.converted(found, told)}, known.now.date())


def _trade_value(
    trade: ProposedTrade | None, chosen: Mapping[str, Chosen], report: PortfolioReport, known: Known
) -> tuple[ProposedTrade, Decimal] | None:
    """The trade and its signed value in the base currency; None, and a problem, where it cannot be measured."""
    if trade is None or trade.symbol not in chosen:
        return None
    rate = known.rates.get(known.instruments[trade.symbol].currency)
    if rate is None:
        detail = f"{trade.symbol}: no quote of its currency in {report.base_currency}"
        report.problems.append(Problem("NO_FX_RATE", detail, symbol=trade.symbol))
        return None
    signed = trade.order_qty * (1 if trade.side is Side.BUY else -1)
    return trade, fit(signed * valuation.market_px(trade.symbol, known) * rate.px, MONEY_PLACES)
