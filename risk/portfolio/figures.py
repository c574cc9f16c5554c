"""Every figure of a portfolio with known prices, from values and closes; pure.

Profits of a day are what today's holdings would have made on it: value times that day's simple return. The horizon is
one day.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from decimal import Decimal

import numpy as np

from risk.portfolio import parts, tails
from risk.portfolio.histories import Joined
from risk.portfolio.words import Component, Correlations, History, Measured, Pair, ProposedTrade, TailLoss, TradeRisk

TAILS = (Decimal("0.05"), Decimal("0.025"), Decimal("0.01"))
PAIRS_AT_MOST = 50
CENTS, PARTS = 2, 6

Values = Mapping[str, Mapping[str, Decimal]]


def measure(
    joined: Joined,
    values: Values,
    *,
    tail: Decimal,
    gross: Decimal,
    brokers: Mapping[str, str],
    trade: tuple[ProposedTrade, Decimal] | None = None,
) -> Measured:
    """Work out every figure of what is held, and of a trade with its signed value.

    `values` are signed, by account and symbol, all of them joined; `gross` is the value of everything held, measured
    or not; `brokers` names each account's broker.
    """
    symbols = list(joined.closes)
    returns = _returns(joined)
    by_account = {name: np.array([float(one.get(symbol, 0)) for symbol in symbols]) for name, one in values.items()}
    held = sum(by_account.values(), np.zeros(len(symbols)))
    estimate = parts.covariance(returns)
    marginal = parts.marginal_vars(held, estimate.matrix, returns.mean(axis=0), tail)
    whole = float(marginal @ held)
    return Measured(
        tail=tail,
        history=_history(joined, values, gross, estimate),
        losses=[loss(returns, held, estimate.matrix, one) for one in TAILS],
        components=_largest_first(
            [_component(symbol, held[n], marginal[n] * held[n], whole) for n, symbol in enumerate(symbols) if held[n]]
        ),
        accounts=_largest_first(
            [_component(name, one.sum(), float(marginal @ one), whole) for name, one in by_account.items()]
        ),
        correlations=_correlations(symbols, returns, held, estimate.matrix, by_account, brokers),
        trade=None if trade is None else _trade_risk(trade, symbols, returns, held, estimate.matrix, tail),
    )


def loss(returns: np.ndarray, held: np.ndarray, matrix: np.ndarray, tail: Decimal) -> TailLoss:
    """Give what one day may cost, by the days as they were, by a normal distribution, and by the latest days."""
    profits = returns @ held
    past = tails.historical(profits, tail)
    normal = tails.normal_loss(float(profits.mean()), parts.deviation(held, matrix), tail)
    late = tails.ewma(profits, tail)
    found = (past.var, past.es, normal.var, normal.es, late.var, late.es)
    return TailLoss(tail, *(money(one) for one in found))


def money(value: float) -> Decimal:
    """An estimate as an amount of money, to the cent."""
    return round(Decimal(value), CENTS) + 0


def part(value: float | None) -> Decimal | None:
    """A share, ratio or correlation to six places; None stays, and stands for what is not a number."""
    return None if value is None or not math.isfinite(value) else round(Decimal(float(value)), PARTS) + 0


def _returns(joined: Joined) -> np.ndarray:
    closes = np.array(list(joined.closes.values()), dtype=float).T
    return closes[1:] / closes[:-1] - 1


def _component(name: str, value: float, var: float, whole: float) -> Component:
    return Component(name, money(value), money(var), part(var / whole if whole else None))


def _largest_first(components: list[Component]) -> list[Component]:
    return sorted(components, key=lambda one: (-one.var, one.name))


def _history(joined: Joined, values: Values, gross: Decimal, estimate: parts.Covariance) -> History:
    measured = sum((abs(value) for one in values.values() for value in one.values()), Decimal(0))
    return History(
        days=len(joined.days) - 1,
        first=joined.days[1],
        last=joined.days[-1],
        coverage=round(measured / gross, PARTS) if gross else Decimal(0),
        covariance=estimate.estimator,
        shrinkage=part(estimate.shrinkage),
        sources=joined.sources,
    )


def _correlations(symbols, returns, held, matrix, by_account, brokers) -> Correlations:
    found = parts.spread(held, matrix)
    profits = {name: returns @ one for name, one in sorted(by_account.items())}
    return Correlations(
        average=part(found.average_correlation),
        diversification_ratio=part(found.diversification_ratio),
        independent_bets=part(found.independent_bets),
        principal_bets=part(found.principal_bets),
        symbols=_strongest(_pairs(symbols, parts.correlations(matrix))),
        accounts=_account_pairs(profits, brokers),
    )


def _pairs(names: list[str], table: np.ndarray) -> list[Pair]:
    places = [(i, j) for i in range(len(names)) for j in range(i + 1, len(names))]
    return [Pair(names[i], names[j], part(table[i, j])) for i, j in places]


def _strongest(pairs: list[Pair]) -> list[Pair]:
    return sorted(pairs, key=lambda one: (-abs(one.correlation or 0), one.first, one.second))[:PAIRS_AT_MOST]


def _account_pairs(profits: dict[str, np.ndarray], brokers: Mapping[str, str]) -> list[Pair]:
    if len(profits) < 2:
        return []
    matrix = np.cov(np.array(list(profits.values())), ddof=1)
    return [
        Pair(one.first, one.second, one.correlation, brokers[one.first] == brokers[one.second])
        for one in _pairs(list(profits), parts.correlations(matrix))
    ]


def _trade_risk(trade, symbols, returns, held, matrix, tail) -> TradeRisk:
    proposed, value = trade
    after = held.copy()
    after[symbols.index(proposed.symbol)] += float(value)
    was, becomes = loss(returns, held, matrix, tail), loss(returns, after, matrix, tail)
    names = [one.name for one in fields(TailLoss) if one.name != "tail"]
    change = {name: getattr(becomes, name) - getattr(was, name) for name in names}
    return TradeRisk(proposed, round(value, CENTS), was, becomes, TailLoss(tail=tail, **change))
