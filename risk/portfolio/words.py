"""What a report on the portfolio's risk is made of. Money is in the base currency, losses are above zero."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from risk.portfolio.concentration import Concentration, Failure
from tradingdesk.fix import Side


@dataclass(frozen=True, slots=True)
class Problem:
    """What the report could not count, and why: nothing is left out in silence."""

    code: str
    detail: str
    symbol: str = ""
    broker_name: str = ""


@dataclass(frozen=True, slots=True)
class Holding:
    """One open position, valued; `asset_class` and `sector` are the instrument's, `broker` is the account's adapter."""

    broker_name: str
    broker: str
    symbol: str
    sector: str
    currency: str
    asset_class: str
    qty: Decimal
    mark_px: Decimal
    value: Decimal


@dataclass(frozen=True, slots=True)
class ProposedTrade:
    """A trade that is only thought of."""

    symbol: str
    side: Side
    order_qty: Decimal


@dataclass(frozen=True, slots=True)
class TailLoss:
    """What one day may cost: exceeded on `tail` of the days (var), and the mean of the worst `tail` of them (es)."""

    tail: Decimal
    historical_var: Decimal
    historical_es: Decimal
    normal_var: Decimal
    normal_es: Decimal
    ewma_var: Decimal
    ewma_es: Decimal


@dataclass(frozen=True, slots=True)
class Component:
    """What one symbol, or one account, adds to the normal VaR; all of them add up to it. Below zero it hedges."""

    name: str
    value: Decimal
    var: Decimal
    share: Decimal | None


@dataclass(frozen=True, slots=True)
class Pair:
    """How two symbols, or what two accounts hold now, have moved together; None where one did not move."""

    first: str
    second: str
    correlation: Decimal | None
    same_broker: bool | None = None


@dataclass(frozen=True, slots=True)
class History:
    """The days that the figures come from. `coverage` is the measured share of the gross value."""

    days: int
    first: date
    last: date
    coverage: Decimal
    covariance: str
    shrinkage: Decimal
    sources: dict[str, str]


@dataclass(frozen=True, slots=True)
class Correlations:
    """How far the portfolio's parts are apart; see `risk.portfolio.parts.Spread`."""

    average: Decimal | None
    diversification_ratio: Decimal | None
    independent_bets: Decimal | None
    principal_bets: Decimal | None
    symbols: list[Pair]
    accounts: list[Pair]


@dataclass(frozen=True, slots=True)
class TradeRisk:
    """What a trade would change: the portfolio's losses before and after it, and the difference (incremental VaR)."""

    trade: ProposedTrade
    value: Decimal
    before: TailLoss
    after: TailLoss
    incremental: TailLoss


@dataclass(frozen=True, slots=True)
class Measured:
    """What follows from the history of prices. `components` and `accounts` are at `tail`."""

    tail: Decimal
    history: History
    losses: list[TailLoss]
    components: list[Component]
    accounts: list[Component]
    correlations: Correlations
    trade: TradeRisk | None = None


@dataclass(frozen=True, slots=True)
class BrokerFailure:
    """What is lost with one broker, over all of the desk's accounts there; `share` is of the portfolio's value."""

    broker: str
    broker_names: list[str]
    loss: Failure
    share: Decimal | None


@dataclass(slots=True)
class PortfolioReport:
    """The risk of what is held over all brokers, for one day ahead. `measured` None: there was too little to measure.

    `complete` says that nothing was left out; `problems` say what was.
    """

    as_of: datetime
    base_currency: str
    total_value: Decimal
    holdings: list[Holding] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    measured: Measured | None = None
    concentrations: dict[str, Concentration] = field(default_factory=dict)
    failures: list[BrokerFailure] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether nothing was left out."""
        return not self.problems

    @property
    def long(self) -> Decimal:
        """Value of what is held long."""
        return sum((one.value for one in self.holdings if one.value > 0), Decimal(0))

    @property
    def short(self) -> Decimal:
        """Value of what is held short, above zero."""
        return -sum((one.value for one in self.holdings if one.value < 0), Decimal(0))

    @property
    def gross(self) -> Decimal:
        """Value of all that is held, without signs."""
        return self.long + self.short

    @property
    def net(self) -> Decimal:
        """Value of all that is held, with signs."""
        return self.long - self.short
