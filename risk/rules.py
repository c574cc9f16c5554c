"""What the gate speaks of, as values: no database, no clock. Amounts are in the base currency."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import ROUND_FLOOR, ROUND_UP, Decimal
from typing import Any

from risk.levels import HaltInForce
from risk.models import Scope
from tradingdesk.fields import QUANTITY_PLACES, plain
from tradingdesk.fix import OrdType, Side

ONE = Decimal(1)
MOST_KEPT = 10_000
# Net exposure at most, and at least.
Ends = tuple[Decimal, Decimal]


@dataclass(frozen=True, slots=True)
class Denial:
    """Why not: a code, what was found, and the limit. `field` names the order's field to change, if there is one.

    `control` and `scope` ("symbol IBM") name the limit that it is about; `passes` says what would be let through.
    """

    code: str
    detail: str
    field: str = ""
    found: str = ""
    limit: str = ""
    broker_name: str = ""
    control: str = ""
    scope: str = ""
    passes: str = ""

    def as_dict(self) -> dict[str, str]:
        """For JSON columns and answers."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Place:
    """What an order belongs to, by the names of the scopes: the limits of each apply to it."""

    broker: str = ""
    account: str = ""
    strategy: str = ""
    symbol: str = ""
    asset_class: str = ""
    user: str = ""
    firm: str = field(default="", init=False)

    @property
    def user_account(self) -> str:
        """The user at the account; "" before there is one."""
        return f"{self.user} {self.account}" if self.account else ""

    @property
    def user_strategy(self) -> str:
        """The user with the strategy; "" without one."""
        return f"{self.user} {self.strategy}" if self.strategy else ""


@dataclass(frozen=True, slots=True)
class Bound:
    """One limit in force: what a control measures is held against its value. A soft one only warns."""

    control: str
    value: Decimal
    hard: bool = True
    scope: str = Scope.FIRM
    scope_key: str = ""

    @property
    def where(self) -> str:
        """The scope in words."""
        return f"{self.scope} {self.scope_key}".strip()

    def denial(self, code: str, detail: str, *, field: str = "", found: str = "", passes: str = "") -> Denial:
        """Say that it is passed."""
        limit = plain(self.value)
        return Denial(code, detail, field, found, limit, control=self.control, scope=self.where, passes=passes)


@dataclass(frozen=True, slots=True)
class Rulebook:
    """Limits and halts in force, as of `version`. `limits` is keyed by (control, scope, scope_key, hard).

    `bounds` are the same limits by control, scope and key, the hard one first: asking for those of one order costs as
    many look-ups as there are scopes in use, however many limits there are. What is `prepared` of them for a place
    serves all places that the same limits apply to.
    """

    version: int
    limits: Mapping[tuple[str, str, str, bool], Decimal]
    halts: Mapping[tuple[str, str], Sequence[HaltInForce]]
    bounds: Mapping[str, Mapping[str, Mapping[str, tuple[Bound, ...]]]] = field(init=False, repr=False, compare=False)
    _kept: dict[Any, Any] = field(init=False, repr=False, compare=False, default_factory=dict)
    _keys: tuple[tuple[str, frozenset[str]], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self):
        bounds: dict[str, dict[str, dict[str, tuple[Bound, ...]]]] = {}
        for (control, scope, key, hard), value in self.limits.items():
            here, bound = bounds.setdefault(control, {}).setdefault(scope, {}), Bound(control, value, hard, scope, key)
            here[key] = (bound, *here.get(key, ())) if hard else (*here.get(key, ()), bound)
        object.__setattr__(self, "bounds", bounds)
        scopes = {scope for rows in bounds.values() for scope in rows}
        keys = {scope: frozenset().union(*(rows.get(scope, ()) for rows in bounds.values())) for scope in scopes}
        object.__setattr__(self, "_keys", tuple(sorted(keys.items())))

    def prepared(self, make: Callable[[Rulebook, Place], Any], place: Place) -> Any:
        """What `make` gives of the limits at a place, made once for all places that have the same ones."""
        key = make, *[name if (name := getattr(place, scope)) in names else None for scope, names in self._keys]
        made = self._kept.get(key)
        if made is None:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()  # other threads make theirs again
            made = self._kept[key] = make(self, place)
        return made

    def bounds_at(self, control: str, place: Place) -> list[Bound]:
        """The limits of one control that apply at a place, for each scope at most a hard and a soft one."""
        scopes = self.bounds.get(control)
        if not scopes:
            return []
        return [bound for scope, rows in scopes.items() for bound in rows.get(getattr(place, scope), ())]

    def limit(self, control: str, place: Place | None = None) -> Decimal | None:
        """The tightest value at a place (the firm's if none is given); None when none is set."""
        return min((bound.value for bound in self.bounds_at(control, place or _FIRM)), default=None)

    def halts_on(self, broker_name: str, symbol: str) -> list[HaltInForce]:
        """Every halt of this account and symbol, the widest first."""
        if not self.halts:
            return []
        keys = ((Scope.FIRM, ""), (Scope.ACCOUNT, broker_name), (Scope.SYMBOL, symbol))
        return [halt for key in keys for halt in self.halts.get(key, ())]


_FIRM = Place()


@dataclass(frozen=True, slots=True)
class ProposedOrder:
    """What risk sees of an order. Exactly one of `order_qty` and `notional`; a replace names what it holds already.

    `reopens`: it has exits of its own, which trade the other way. `order_pk` is the key of an order that there is
    already, None of a new one. `user` is who asks; `preferred` is the account that it names, `list_id` the parent
    that it is a part of. `waits`: it may be entered
    while the market is closed, as it is for then or for the opening.
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
    strategy: str = ""
    asset_class: str = ""
    user: str = ""
    order_pk: int | None = None
    preferred: str = ""
    list_id: str = ""
    waits: bool = False

    def place(self, *, broker: str = "", account: str = "") -> Place:
        """What it belongs to, at an account or before there is one."""
        return Place(broker, account, self.strategy, self.symbol, self.asset_class, self.user)


@dataclass(frozen=True, slots=True)
class CandidateAccount:
    """What risk knows of an account the order may go to. Prices are None with the reason in `price_problem`.

    `unreconciled` is on what the desk and the broker do not agree; "" when they do. Amounts are in the account's
    currency, `fx_rate` is the base currency for one of it, None where it is not known. `buying_power` is the broker's
    figure less what is `unreflected` in it. `allocation` is the share of capital that the account shall have.
    `session_open` and `clock_drift` (seconds that the broker's clock is ahead of ours) are None while not known.
    """

    broker_name: str
    portfolio_value: Decimal
    buying_power: Decimal
    status: str
    bid_px: Decimal | None = None
    ask_px: Decimal | None = None
    price_problem: Denial | None = None
    can_short: bool = False
    unreconciled: str = ""
    adapter: str = ""
    bid_size: Decimal | None = None
    ask_size: Decimal | None = None
    fx_rate: Decimal | None = ONE
    allocation: Decimal = Decimal(0)
    equity: Decimal = Decimal(0)
    initial_margin: Decimal | None = None
    unreflected: Decimal = Decimal(0)
    session_open: bool | None = None
    clock_drift: Decimal | None = None

    def far_px(self, side: Side) -> Decimal:
        """The price that a marketable order of this side meets."""
        return self.ask_px if side is Side.BUY else self.bid_px


@dataclass(frozen=True, slots=True)
class Holding:
    """What one account holds and has entered of one symbol; quantities in units, amounts in currency."""

    position_qty: Decimal = Decimal(0)
    open_buy_qty: Decimal = Decimal(0)
    open_sell_qty: Decimal = Decimal(0)
    open_buy_notional: Decimal = Decimal(0)
    open_sell_notional: Decimal = Decimal(0)
    mark_px: Decimal = Decimal(0)

    def ends(self) -> Ends:
        """What it is worth once everything is bought, and once everything is sold."""
        value = self.position_qty * self.mark_px
        return value + self.open_buy_notional, value - self.open_sell_notional

    def gross(self) -> Decimal:
        """The worst of what it may become: everything bought, or everything sold."""
        return max(map(abs, self.ends()))


@dataclass(slots=True)
class AccountVerdict:
    """The gate's answer for one candidate: allowed when `denials` is empty.

    `reserve_px` is in the instrument's currency, `buying_power_needed` in the account's, the rest in the base currency.
    """

    broker_name: str
    denials: list[Denial] = field(default_factory=list)
    warnings: list[Denial] = field(default_factory=list)
    reserve_px: Decimal = Decimal(0)
    reserve_qty: Decimal = Decimal(0)
    buying_power_needed: Decimal = Decimal(0)
    gross_before: Decimal = Decimal(0)
    gross_after: Decimal = Decimal(0)
    net_before: Ends = (Decimal(0), Decimal(0))
    net_after: Ends = (Decimal(0), Decimal(0))

    @property
    def allowed(self) -> bool:
        """Whether nothing stands against this account."""
        return not self.denials

    def as_dict(self) -> dict:
        """For JSON columns and answers."""
        numbers = ("reserve_px", "reserve_qty", "buying_power_needed", "gross_before", "gross_after")
        figures = {name: plain(getattr(self, name)) for name in numbers}
        said = {"denials": self.denials, "warnings": self.warnings}
        texts = {name: [one.as_dict() for one in found] for name, found in said.items()}
        return {"allowed": self.allowed, **texts, **figures}


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


def share_of(gross: Decimal, total_value: Decimal) -> Decimal:
    """An account's gross exposure over the portfolio's total value.

    Rounded up to as many places as a limit can have: what passes a limit, however little, does not seem to be at it.
    """
    return (gross / total_value).quantize(Decimal(1).scaleb(-QUANTITY_PLACES), rounding=ROUND_UP)


def qty_at_most(notional: Decimal, px: Decimal) -> str:
    """What would pass, as a quantity: the units that an amount has room for at a price."""
    units = (max(notional, Decimal(0)) / px).quantize(Decimal(1).scaleb(-QUANTITY_PLACES), ROUND_FLOOR)
    return f"order_qty of at most {plain(units)}"
