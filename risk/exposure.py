"""The running totals: reading them under their locks, and moving them.

Locks are taken in the order of the keys: firm, account, symbol. Intake takes all three; reports take account and
symbol, after every other row that they lock, as intake waits for these. Each function says what it locks.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from typing import Any

from django.db import connection

from risk.facts import Facts, facts_of
from risk.models import ExposureTotal
from risk.rules import Holding
from risk.sums import ONE, SUMS, ZERO, Sums, kept_sums, sums_of
from tradingdesk.fix import Side
from tradingdesk.statements import Later, Param, Select, together, update

FIRM_KEY = "0:firm"
Ask = Callable[[], Later]
# The keys of rows, with the columns that name what each is about: all there is of one that has yet to be made.
Named = Mapping[str, Mapping[str, str]]
_ADD = (
    f"UPDATE exposure_totals SET {', '.join(f'{name} = {name} + %s' for name in SUMS)}, updated_at = %s"
    " WHERE key IN (%s, %s)"
)
_MOVES = (
    "position_qty",
    "open_buy_qty",
    "open_sell_qty",
    "open_buy_notional",
    "open_sell_notional",
    "mark_px",
    *SUMS,
    "updated_at",
)


def account_key(broker_name: str) -> str:
    """Key of an account's total."""
    return f"1:{broker_name}"


def symbol_key(broker_name: str, symbol: str) -> str:
    """Key of what one account holds and has entered of one symbol."""
    return f"2:{broker_name}:{symbol}"


def sector_key(broker_name: str, sector: str) -> str:
    """Key of what one account holds and has entered of one sector."""
    return f"3:{broker_name}:{sector}"


def keys_above(row: ExposureTotal) -> list[str]:
    """Keys of the totals that a symbol's row is a part of: its account's and, if it has one, its sector's."""
    account = account_key(row.broker_name)
    return [account, sector_key(row.broker_name, row.sector)] if row.sector else [account]


@dataclass(slots=True)
class Exposure:
    """The rows one decision needs: the firm's, every account's, and the symbol's at each account.

    `unreflected` is the buying power, by account, that orders hold and that the broker's own figure does not show yet.
    `rates` are base currency for one of each currency that matters here, and `fx_rate` that of the instrument's; None
    where it is not known. `facts` are what else the controls in force need, as far as it was asked for with the locks.
    """

    firm: ExposureTotal
    accounts: dict[str, ExposureTotal]
    symbols: dict[str, ExposureTotal]
    unreflected: Mapping[str, Decimal] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    rates: Mapping[str, Decimal] = field(default_factory=dict)
    fx_rate: Decimal | None = ONE

    @property
    def gross(self) -> Decimal:
        """Gross exposure of the firm: the sum over its accounts."""
        return sum((row.gross for row in self.accounts.values()), Decimal(0))

    def holding(self, broker_name: str, mark_px: Decimal | None = None) -> Holding:
        """What the account holds and has entered of the symbol, at `mark_px` if given."""
        return holding_of(self.symbols[broker_name], mark_px)


@dataclass(frozen=True, slots=True)
class Shift:
    """A change of a symbol's row.

    `qty` and `notional` are added to what is entered on `side` (below zero to give back); `position_qty` and `mark_px`
    replace what is there when given.
    """

    symbol: str
    side: Side
    qty: Decimal = Decimal(0)
    notional: Decimal = Decimal(0)
    position_qty: Decimal | None = None
    mark_px: Decimal | None = None


def holding_of(row: ExposureTotal, mark_px: Decimal | None = None) -> Holding:
    """A symbol row as a value, at `mark_px` if given."""
    return Holding(
        position_qty=row.position_qty,
        open_buy_qty=row.open_buy_qty,
        open_sell_qty=row.open_sell_qty,
        open_buy_notional=row.open_buy_notional,
        open_sell_notional=row.open_sell_notional,
        mark_px=mark_px or row.mark_px,
    )


def ask_for_decision(
    broker_names: Iterable[str], symbol: str, ask_unreflected: Ask | None = None
) -> Callable[[], Exposure]:
    """Lock the firm's row, every account's and the symbol's at each; make what is missing.

    In a block of `together`, after which what this gives is to be called at once. `ask_unreflected` asks, under the
    locks, for pairs of an account and its buying power that is `unreflected`.
    """
    names = list(broker_names)
    rows = {
        FIRM_KEY: {},
        **{account_key(name): {"broker_name": name} for name in names},
        **{symbol_key(name, symbol): {"broker_name": name, "symbol": symbol} for name in names},
    }
    locked = _ask(rows, ask_unreflected)
    return lambda: _exposure_of(names, symbol, *locked())


def _exposure_of(names: list[str], symbol: str, found: Mapping[str, ExposureTotal], unreflected: list) -> Exposure:
    return Exposure(
        firm=found[FIRM_KEY],
        accounts={name: found[account_key(name)] for name in names},
        symbols={name: found[symbol_key(name, symbol)] for name in names},
        unreflected=summed(unreflected),
    )


def summed(pairs: Iterable[tuple[str, Decimal | None]]) -> dict[str, Decimal]:
    """Add up amounts by account; None is nothing."""
    found: dict[str, Decimal] = {}
    for name, amount in pairs:
        found[name] = found.get(name, ZERO) + (amount or ZERO)
    return found


def read_for_preview(broker_names: Iterable[str], symbol: str) -> Exposure:
    """The same rows without locks and without making any."""
    names = list(broker_names)
    keys = [FIRM_KEY, *map(account_key, names), *(symbol_key(name, symbol) for name in names)]
    found = ExposureTotal.objects.in_bulk(keys)
    made = {name: _symbol_row(name, symbol) for name in names if symbol_key(name, symbol) not in found}
    if made:
        take_facts(made.values())
    return Exposure(
        firm=found.get(FIRM_KEY) or ExposureTotal(key=FIRM_KEY),
        accounts={name: found.get(account_key(name)) or ExposureTotal(broker_name=name) for name in names},
        symbols={name: made.get(name) or found[symbol_key(name, symbol)] for name in names},
    )


def ask_sector_gross(broker_names: Sequence[str], sector: str) -> Callable[[], dict[str, Decimal]]:
    """Ask in a block of `together` for the gross exposure to a sector by account, where there is any.

    Whoever holds the accounts' locks has it as it will stay.
    """
    if not sector:
        return dict
    keys = {f"key{number}": sector_key(name, sector) for number, name in enumerate(broker_names)}
    told = _gross_of(len(keys)).later(**keys)
    return lambda: dict(told())


def note_unreconciled(broker_name: str, text: str) -> None:
    """Lock an account's row and keep on it on what desk and broker do not agree, "" when they do: the gate reads it."""
    key = account_key(broker_name)
    _lock({key: {"broker_name": broker_name}})
    ExposureTotal.objects.filter(pk=key).update(unreconciled=text)


def lock_for_report(broker_name: str, symbol: str) -> ExposureTotal:
    """Lock an account's row and the symbol's at it; the symbol's row."""
    with together():
        locked = _ask_for_reports(broker_name, [symbol])
    return locked()[symbol]


def _ask_for_reports(broker_name: str, symbols: Iterable[str]) -> Callable[[], dict[str, ExposureTotal]]:
    account, keys = account_key(broker_name), {symbol: symbol_key(broker_name, symbol) for symbol in symbols}
    rows = {account: {"broker_name": broker_name}}
    rows |= {key: {"broker_name": broker_name, "symbol": symbol} for symbol, key in keys.items()}
    locked = _ask(rows, None)

    def found() -> dict[str, ExposureTotal]:
        there, _ = locked()
        return {symbol: there[key] for symbol, key in keys.items()}

    return found


def move_all(broker_name: str, shifts: Sequence[Shift]) -> None:
    """Lock an account's row and those of the symbols that move, and move them, each written once.

    To be called when a transaction has all its other locks.
    """
    with together():
        move = ask_to_move(broker_name, shifts)
    move()


def ask_to_move(broker_name: str, shifts: Sequence[Shift]) -> Callable[[], None]:
    """Lock the same as the last of a block of `together`, after which what this gives is to be called at once."""
    symbols = {one.symbol for one in shifts}
    locked = _ask_for_reports(broker_name, symbols) if symbols else dict

    def move() -> None:
        rows = locked()
        for one in shifts:
            _shift(rows[one.symbol], one)
        with together():
            for row in rows.values():
                store(row)

    return move


def move(row: ExposureTotal, *, side: Side, **change: Decimal | None) -> None:
    """Change a locked symbol row as `Shift` has it, and write it."""
    _shift(row, Shift(row.symbol, side, **change))
    store(row)


def _shift(row: ExposureTotal, change: Shift) -> None:
    if change.side is Side.BUY:
        row.open_buy_qty += change.qty
        row.open_buy_notional += change.notional
    else:
        row.open_sell_qty += change.qty
        row.open_sell_notional += change.notional
    row.position_qty = row.position_qty if change.position_qty is None else change.position_qty
    row.mark_px = change.mark_px or row.mark_px


def revalue(row: ExposureTotal, mark_px: Decimal) -> None:
    """Put a locked symbol row at a new price."""
    row.mark_px = mark_px
    store(row)


def restate(row: ExposureTotal, facts: Facts) -> None:
    """Give a locked symbol row what became known of its instrument; its account's and sectors' totals follow."""
    if facts.sector != row.sector:
        _change_sector(row, facts.sector)
    row.fx_rate, row.beta = facts.fx_rate, facts.beta
    update(row, "fx_rate", "beta")
    store(row)


def _change_sector(row: ExposureTotal, sector: str) -> None:
    sums, nothing = kept_sums(row), account_key("")  # no account has an empty name
    if row.sector:
        _add([-value for value in sums], row, sector_key(row.broker_name, row.sector), nothing)
    row.sector = sector
    update(row, "sector", "updated_at")
    if sector:
        ExposureTotal.objects.bulk_create([_sector_row(row)], ignore_conflicts=True)
        _add(sums, row, sector_key(row.broker_name, sector), nothing)


def store(row: ExposureTotal) -> None:
    """Write a locked symbol row, and move its account's totals and its sector's by the difference."""
    before, after = kept_sums(row), sums_of(row)
    for name, value in zip(SUMS, after, strict=True):
        setattr(row, name, value)
    update(row, *_MOVES)
    if after != before:
        keys = account_key(row.broker_name), sector_key(row.broker_name, row.sector)
        _add([new - old for new, old in zip(after, before, strict=True)], row, *keys)


def _add(sums: Sums | list, row: ExposureTotal, *keys: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_ADD, [*sums, row.updated_at, *keys])


def _sector_row(row: ExposureTotal) -> ExposureTotal:
    return ExposureTotal(key=sector_key(row.broker_name, row.sector), broker_name=row.broker_name, sector=row.sector)


def _symbol_row(broker_name: str, symbol: str) -> ExposureTotal:
    return ExposureTotal(key=symbol_key(broker_name, symbol), broker_name=broker_name, symbol=symbol)


def _lock(rows: Named, ask: Ask | None = None) -> tuple[dict[str, ExposureTotal], list]:
    """Lock these rows, making those that are missing; and what was asked for once they were locked."""
    with together():
        locked = _ask(rows, ask)
    return locked()


def _ask(rows: Named, ask: Ask | None) -> Callable[[], tuple[dict[str, ExposureTotal], list]]:
    keys = {f"key{number}": key for number, key in enumerate(rows)}
    locked = _lock_of(len(rows)).later(**keys)
    answer = ask() if ask else list

    def found() -> tuple[dict[str, ExposureTotal], list]:
        there = {row.key: row for row in locked()}
        if len(there) == len(rows):
            return there, answer()
        _make([ExposureTotal(key=key, **columns) for key, columns in rows.items() if key not in there])
        return _lock(rows, ask)

    return found


def _make(missing: Sequence[ExposureTotal]) -> None:
    """Make rows, with what is known of their instruments, and the rows of their sectors."""
    made = {row.key: row for row in missing}
    take_facts([row for row in missing if row.symbol])
    for row in missing:
        if row.sector:
            made.setdefault(sector_key(row.broker_name, row.sector), _sector_row(row))
    ExposureTotal.objects.bulk_create([made[key] for key in sorted(made)], ignore_conflicts=True)


def take_facts(rows: Collection[ExposureTotal]) -> None:
    """Give new rows of symbols what is known of their instruments."""
    facts = facts_of({row.symbol for row in rows})
    for row in rows:
        known = facts.get(row.symbol) or Facts()
        row.sector, row.fx_rate, row.beta = known.sector, known.fx_rate, known.beta


@cache
def _gross_of(count: int) -> Select:
    """The statement that reads the gross exposure of this many rows, by account."""
    rows = ExposureTotal.objects.filter(key__in=[Param(f"key{number}") for number in range(count)])
    return Select(rows.order_by().values_list("broker_name", "gross"))


@cache
def _lock_of(count: int) -> Select:
    """The statement that locks this many rows, in the order of their keys."""
    keys = [Param(f"key{number}") for number in range(count)]
    return Select(ExposureTotal.objects.select_for_update().filter(key__in=keys).order_by("key"))
