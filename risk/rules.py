"""The controls as functions of values: no database, no clock. Amounts are in the base currency."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal

from risk.levels import HaltInForce
from risk.models import Control, Scope
from tradingdesk.fields import plain
from tradingdesk.fix import OrdType, Side

REQUIRED = (Control.MAX_ORDER_NOTIONAL, Control.PORTFOLIO_RISK_LIMIT, Control.MAX_BROKER_ALLOCATION)


@dataclass(frozen=True, slots=True)
class Denial:
    """Why not: a code, what was found, and the limit. `field` names the order's field to change, if there is one."""

    code: str
    detail: str
    field: str = ""
    found: str = ""
    limit: str = ""
    broker_name: str = ""

    def as_dict(self) -> dict[str, str]:
        """For JSON columns and answers."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Rulebook:
    """Limits and halts in force, as of `version`. `limits` is keyed by (control, scope, scope_key)."""

    version: int
    limits: Mapping[tuple[str, str, str], tuple[Decimal, bool]]
    halts: Mapping[tuple[str, str], Sequence[HaltInForce]]

    def limit(self, control: Control, *, broker_name: str = "", symbol: str = "") -> Decimal | None:
        """The tightest value among the firm's, the account's and the symbol's; None when none is set."""
        keys = ((Scope.FIRM, ""), (Scope.ACCOUNT, broker_name), (Scope.SYMBOL, symbol))
        found = [self.limits[control, scope, key][0] for scope, key in keys if (control, scope, key) in self.limits]
        return min(found, default=None)

    def is_hard(self, control: Control) -> bool:
        """Whether the firm's row of this control refuses (True) or warns."""
        return self.limits.get((control, Scope.FIRM, ""), (None, True))[1]

    def halts_on(self, broker_name: str, symbol: str) -> list[HaltInForce]:
        """Every halt of this account and symbol, the widest first."""
        if not self.halts:
            return []
        keys = ((Scope.FIRM, ""), (Scope.ACCOUNT, broker_name), (Scope.SYMBOL, symbol))
        return [halt for key in keys for halt in self.halts.get(key, ())]


@dataclass(frozen=True, slots=True)
class ProposedOrder:
    """What risk sees of an order. Exactly one of `order_qty` and `notional`; a replace names what it holds already.

    `reopens`: it has exits of its own, which trade the other way.
    """

    symbol: str
    side: Side
    ord_type: OrdType
    order_qty: Decimal | None = None
    notional: Decimal | None = None
    price: Decimal | None = None
    stop_px: Decimal | None = None
    cum_qty: Decimal = Decimal(0)
    held_qty: Decimal = Decimal(0)
    held_notional: Decimal = Decimal(0)
    held_px: Decimal = Decimal(0)
    replaces: bool = False
    reopens: bool = False


@dataclass(frozen=True, slots=True)
class CandidateAccount:
    """What risk knows of an account the order may go to. Prices are None with the reason in `price_problem`.

    `unreconciled` is on what the desk and the broker do not agree; "" when they do.
    """

    broker_name: str
    portfolio_value: Decimal
    buying_power: Decimal
    status: str
    bid_px: Decimal | None = None
    ask_px: Decimal | None = None
    price_problem: tuple[str, str] | None = None
    can_short: bool = False
    unreconciled: str = ""


@dataclass(frozen=True, slots=True)
class Holding:
    """What one account holds and has entered of one symbol; quantities in units, amounts in currency."""

    position_qty: Decimal = Decimal(0)
    open_buy_qty: Decimal = Decimal(0)
    open_sell_qty: Decimal = Decimal(0)
    open_buy_notional: Decimal = Decimal(0)
    open_sell_notional: Decimal = Decimal(0)
    mark_px: Decimal = Decimal(0)

    def gross(self) -> Decimal:
        """The worst of what it may become: everything bought, or everything sold."""
        value = self.position_qty * self.mark_px
        return max(abs(value + self.open_buy_notional), abs(value - self.open_sell_notional))


@dataclass(slots=True)
class AccountVerdict:
    """The gate's answer for one candidate: allowed when `denials` is empty."""

    broker_name: str
    denials: list[Denial] = field(default_factory=list)
    reserve_px: Decimal = Decimal(0)
    reserve_qty: Decimal = Decimal(0)
    buying_power_needed: Decimal = Decimal(0)
    gross_before: Decimal = Decimal(0)
    gross_after: Decimal = Decimal(0)

    @property
    def allowed(self) -> bool:
        """Whether nothing stands against this account."""
        return not self.denials

    def as_dict(self) -> dict:
        """For JSON columns and answers."""
        numbers = ("reserve_px", "reserve_qty", "buying_power_needed", "gross_before", "gross_after")
        figures = {name: plain(getattr(self, name)) for name in numbers}
        return {"allowed": self.allowed, "denials": [denial.as_dict() for denial in self.denials], **figures}


def worst_px(order: ProposedOrder, *, bid_px: Decimal, ask_px: Decimal) -> Decimal:
    """The price to count an order with: the worst it can trade at by what it says, else the far touch."""
    if order.side is Side.BUY:
        return order.price or max(order.stop_px or Decimal(0), ask_px)
    return max(order.price or Decimal(0), order.stop_px or Decimal(0), bid_px)


def with_order(holding: Holding, side: Side, qty: Decimal, notional: Decimal) -> Holding:
    """The holding with so much more entered on one side."""
    buy, sell = (qty, Decimal(0)) if side is Side.BUY else (Decimal(0), qty)
    buy_value, sell_value = (notional, Decimal(0)) if side is Side.BUY else (Decimal(0), notional)
    return Holding(
        position_qty=holding.position_qty,
        open_buy_qty=holding.open_buy_qty + buy,
        open_sell_qty=holding.open_sell_qty + sell,
        open_buy_notional=holding.open_buy_notional + buy_value,
        open_sell_notional=holding.open_sell_notional + sell_value,
        mark_px=holding.mark_px,
    )


def shorted_qty(holding: Holding, qty: Decimal) -> Decimal:
    """Units of a further sale of `qty` that the position does not cover, with everything entered sold."""
    covered = max(holding.position_qty - holding.open_sell_qty, Decimal(0))
    return max(qty - covered, Decimal(0))


def limit_denials(book: Rulebook, order: ProposedOrder) -> Iterable[Denial]:
    """What the firm says before any account: limits configured, restriction."""
    for control in REQUIRED:
        if (control, Scope.FIRM, "") not in book.limits:
            yield Denial(
                "NO_LIMIT_CONFIGURED", f"{control} is not set: no limits configured means no trading", limit=control
            )
    if (Control.RESTRICTED, Scope.SYMBOL, order.symbol) in book.limits:
        yield Denial("RESTRICTED_SYMBOL", f"symbol={order.symbol} is restricted", "symbol", order.symbol)


def exceeds(code: str, field_name: str, name: str, found: Decimal, limit: Decimal | None) -> Iterable[Denial]:
    """A denial when a limit is set and passed; the limit itself is allowed."""
    if limit is not None and found > limit:
        detail = f"{name}={plain(found)}, max={plain(limit)}"
        yield Denial(code, detail, field_name, plain(found), plain(limit))
