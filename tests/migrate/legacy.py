"""A database of the single-broker system, built from what is known of it, as dirty as wanted.

Each kind of dirt has its share of a table's rows, one kind a row; `Legacy.dirt` counts them, so a test knows what must
become of every row. The same seed builds the same rows.
"""

import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

TEXT, REAL, TIME, WHOLE, JSON, FLAG = "VARCHAR(50)", "FLOAT", "DATETIME", "INTEGER", "JSON", "BOOLEAN"
SCHEMA = {
    "signals": {
        "id": WHOLE, "symbol": TEXT, "direction": TEXT, "confidence_score": REAL, "strength": REAL,
        "generated_at": TIME, "price_at_signal": REAL, "strategy_count": WHOLE, "contributing_strategies": JSON,
        "status": TEXT,
    },
    "risk_filter_results": {
        "id": WHOLE, "signal_id": WHOLE, "symbol": TEXT, "filtered_at": TIME, "passed": FLAG,
        "rejection_reason": TEXT, "position_size": REAL, "exposure_percent": REAL, "portfolio_risk": REAL,
        "sector_exposure": REAL, "correlation_risk": REAL,
    },
    "orders": {
        "id": WHOLE, "signal_id": WHOLE, "broker_order_id": TEXT, "symbol": TEXT, "side": TEXT, "quantity": REAL,
        "order_type": TEXT, "price": REAL, "stop_price": REAL, "time_in_force": TEXT, "status": TEXT,
        "created_at": TIME, "submitted_at": TIME, "filled_at": TIME, "cancelled_at": TIME, "filled_quantity": REAL,
        "filled_price": REAL, "commission": REAL,
    },
    "positions": {
        "id": WHOLE, "symbol": TEXT, "entry_order_id": WHOLE, "exit_order_id": WHOLE, "quantity": REAL, "side": TEXT,
        "avg_entry_price": REAL, "avg_exit_price": REAL, "status": TEXT, "opened_at": TIME, "closed_at": TIME,
        "unrealized_pnl": REAL, "realized_pnl": REAL, "stop_loss_price": REAL, "take_profit_price": REAL,
    },
    "trade_logs": {
        "id": WHOLE, "position_id": WHOLE, "symbol": TEXT, "signal_generated_at": TIME, "order_placed_at": TIME,
        "position_opened_at": TIME, "position_closed_at": TIME, "entry_price": REAL, "exit_price": REAL,
        "quantity": REAL, "holding_period": WHOLE, "gross_pnl": REAL, "net_pnl": REAL, "return_percent": REAL,
        "commission_paid": REAL, "strategy_name": TEXT, "signal_strength": REAL, "market_conditions": JSON,
    },
    "configuration_history": {
        "id": WHOLE, "changed_at": TIME, "changed_by": TEXT, "config_section": TEXT, "old_value": JSON,
        "new_value": JSON, "reason": "VARCHAR(200)",
    },
    "system_metrics": {
        "id": WHOLE, "recorded_at": TIME, "total_equity": REAL, "available_cash": REAL, "total_positions": WHOLE,
        "daily_pnl": REAL, "win_rate": REAL, "market_hours": FLAG,
    },
    "stock_data": {"id": WHOLE, "symbol": TEXT, "date": TEXT, "close": REAL},
}  # fmt: skip
KEYS = {
    "risk_filter_results": ["signal_id REFERENCES signals"],
    "orders": ["signal_id REFERENCES signals"],
    "positions": ["entry_order_id REFERENCES orders", "exit_order_id REFERENCES orders"],
    "trade_logs": ["position_id REFERENCES positions"],
}
SYMBOLS = ("AAPL", "AMZN", "BAC", "BRK.B", "IBM", "MSFT", "NVDA", "SPY")
BEGAN = datetime(2021, 1, 4, 14, 30, tzinfo=UTC)
MOVED = ""


@dataclass(frozen=True)
class Dirt:
    """One kind of dirt: what it does to a row, and the reason it is quarantined for, or MOVED."""

    spoil: Callable[[dict], dict]
    reason: str = MOVED
    only_sqlite: bool = False


def _set(reason: str = MOVED, *, only_sqlite: bool = False, **values) -> Dirt:
    return Dirt(lambda row: values, reason, only_sqlite)


DIRT: dict[str, dict[str, Dirt]] = {
    "signals": {
        "json that does not parse": _set(contributing_strategies="{'rsi': 0.4", only_sqlite=True),
        "confidence that is infinite": _set(confidence_score=float("inf")),
        "no time": _set("NOT_A_TIME", generated_at="yesterday", only_sqlite=True),
    },
    "risk_filter_results": {
        "signal that is not there": _set(signal_id=999_999_999),
        "flag in words": _set(passed="True", only_sqlite=True),
        "flag that is none": _set("NOT_A_FLAG", passed="perhaps", only_sqlite=True),
    },
    "orders": {
        "no broker order id": _set(broker_order_id=None),
        "repeated broker order id": _set("BROKER_ORDER_ID_REPEATED", broker_order_id="b-1"),
        "status in capitals": Dirt(lambda row: {"status": row["status"].upper()}),
        "status in American": Dirt(lambda row: {"status": "Canceled "} if row["status"] == "cancelled" else {}),
        "status that is none": _set("UNKNOWN_STATUS", status="???"),
        "side in capitals": Dirt(lambda row: {"side": f" {row['side'].upper()}"}),
        "side that is none": _set("UNKNOWN_SIDE", side="hold"),
        "zoned time": Dirt(lambda row: {"created_at": f"{row['created_at']}-05:00"}, only_sqlite=True),
        "absurd time": _set("TIME_ABSURD", created_at="0001-01-01 00:00:00"),
        "time in the future": _set("TIME_ABSURD", created_at="9999-12-31 23:59:59"),
        "infinite quantity": _set("NOT_FINITE", quantity=float("inf")),
        "quantity that is no number": _set("NOT_FINITE", quantity="NaN"),
        "negative quantity": Dirt(lambda row: {"quantity": -row["quantity"]}, "NOT_POSITIVE"),
        "sum of floats": Dirt(
            lambda row: {"quantity": 0.1 + 0.2, "filled_quantity": 0.1 + 0.2 if row["filled_quantity"] else 0.0}
        ),
        "symbol with blanks": Dirt(lambda row: {"symbol": f" {row['symbol'].lower()} "}),
        "symbol with a blank inside": _set("SYMBOL_INVALID", symbol="BRK B"),
        "filled without price": _set("FILLED_WITHOUT_PRICE", status="filled", filled_quantity=5.0, filled_price=None),
        "number as text": Dirt(lambda row: {"quantity": f"'{row['quantity']}'"}, "NOT_A_NUMBER", only_sqlite=True),
        "word as number": _set("NOT_A_NUMBER", quantity="ten", only_sqlite=True),
    },
    "positions": {
        "orders that are not there": _set(entry_order_id=999_999_999, exit_order_id=999_999_998),
        "side in capitals": Dirt(lambda row: {"side": row["side"].upper()}),
        "negative quantity": Dirt(lambda row: {"quantity": -row["quantity"]}, "NOT_POSITIVE"),
        "price that is no number": _set("NOT_FINITE", avg_entry_price="NaN"),
        "infinite profit": _set("NOT_FINITE", realized_pnl=float("-inf")),
        "closed without a time": _set("CLOSED_WITHOUT_TIME", status="closed", closed_at=None),
        "absurd time": _set("TIME_ABSURD", opened_at="1601-01-01 00:00:00"),
    },
    "trade_logs": {
        "json that does not parse": _set(market_conditions="{vix: 20}", only_sqlite=True),
        "json with NaN": _set(market_conditions='{"vix": NaN}', only_sqlite=True),
        "position that is not there": _set(position_id=999_999_999),
        "neither position nor exit": _set("DIRECTION_UNKNOWN", position_id=None, exit_price=None),
        "price as word": _set("NOT_A_NUMBER", entry_price="n/a", only_sqlite=True),
    },
    "configuration_history": {"value that does not parse": _set(new_value="0,05", only_sqlite=True)},
    "system_metrics": {"infinite equity": _set("NOT_FINITE", total_equity=float("inf"))},
}  # fmt: skip


@dataclass
class Legacy:
    """What was built: where it is, how many rows each table has, and how many of each kind of dirt."""

    place: str
    rows: dict[str, int] = field(default_factory=dict)
    dirt: dict[str, Counter] = field(default_factory=dict)

    def quarantined(self, table: str) -> Counter:
        """How many rows of a table must be quarantined, by reason."""
        found = Counter()
        for kind, count in self.dirt[table].items():
            if reason := DIRT[table][kind].reason:
                found[reason] += count
        return found


def sizes(orders: int) -> dict[str, int]:
    """How many rows each table has beside so many orders."""
    fifth = max(orders // 5, 20)
    return {
        "signals": fifth, "risk_filter_results": fifth, "orders": orders, "positions": fifth, "trade_logs": fifth,
        "configuration_history": 30, "system_metrics": 60, "stock_data": 10,
    }  # fmt: skip


def build(path: Path, *, orders: int, share: float = 0.02, seed: int = 1) -> Legacy:
    """Build a SQLite file; its index of broker ids is not unique where such rows are wanted."""
    legacy = Legacy(str(path))
    with closing(sqlite3.connect(path)) as connection, connection:
        for table, columns in SCHEMA.items():
            connection.execute(_create(table, columns))
        connection.execute(f"CREATE {'' if share else 'UNIQUE '}INDEX ix_orders_broker ON orders (broker_order_id)")
        for table, rows in _tables(legacy, orders, share, seed, sqlite=True):
            places = ", ".join("?" * len(SCHEMA[table]))
            connection.executemany(f"INSERT INTO {table} VALUES ({places})", rows)
    return legacy


def build_postgres(url: str, *, orders: int, share: float = 0.02, seed: int = 1) -> Legacy:
    """Build the same in an empty PostgreSQL database, which allows less dirt."""
    legacy = Legacy(url)
    with psycopg.connect(url) as connection:
        for table, columns in SCHEMA.items():
            kinds = {"DATETIME": "timestamp", "FLOAT": "double precision"}
            named = ", ".join(f"{name} {kinds.get(kind, kind)}" for name, kind in columns.items())
            connection.execute(f"CREATE TABLE {table} ({named}, PRIMARY KEY (id))")
        for table, rows in _tables(legacy, orders, share, seed, sqlite=False):
            with connection.cursor().copy(f"COPY {table} FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
    return legacy


def _create(table: str, columns: dict[str, str]) -> str:
    parts = [f"{name} {kind}" for name, kind in columns.items()] + ["PRIMARY KEY (id)"]
    for key in KEYS.get(table, ()):
        column, _, other = key.partition(" REFERENCES ")
        parts.append(f"FOREIGN KEY({column}) REFERENCES {other} (id)")
    return f"CREATE TABLE {table} ({', '.join(parts)})"


def _tables(legacy: Legacy, orders: int, share: float, seed: int, *, sqlite: bool) -> Iterator[tuple[str, Iterator]]:
    for table, count in sizes(orders).items():
        rng = random.Random(f"{seed} {table}")
        legacy.rows[table], legacy.dirt[table] = count, Counter()
        kinds = {kind: dirt for kind, dirt in DIRT.get(table, {}).items() if sqlite or not dirt.only_sqlite}
        yield table, _spoiled(table, _ROWS[table](rng, count), kinds, legacy.dirt[table], share, rng)


def _spoiled(table: str, rows: Iterator[dict], kinds: dict, counted: Counter, share: float, rng) -> Iterator[list]:
    """Give rows with dirt, one kind a row; the first row stays clean: others refer to it."""
    names = list(kinds)
    for number, row in enumerate(rows):
        place = int(rng.random() / share) if share and number else len(names)
        # The first rows have one of each, so that a small database has every kind, too.
        place = number - 1 if share and 0 < number <= len(names) else place
        if place < len(names):
            row |= kinds[names[place]].spoil(row)
            counted[names[place]] += 1
        yield [row[name] for name in SCHEMA[table]]


def _at(number: int, rng: random.Random, **later) -> str:
    when = BEGAN + timedelta(minutes=number % 2_000_000, seconds=rng.randrange(60), microseconds=rng.randrange(10**6))
    return str((when + timedelta(**later)).replace(tzinfo=None))


def _orders(rng: random.Random, count: int) -> Iterator[dict]:
    for number in range(1, count + 1):
        status = rng.choices(("filled", "cancelled", "rejected", "pending"), (80, 12, 6, 2))[0]
        qty, px, limit = float(rng.randrange(1, 500)), round(rng.uniform(5, 500), 2), rng.random() < 0.6
        filled, cancelled = status == "filled", status == "cancelled"
        yield {
            "id": number, "signal_id": rng.randrange(1, max(count // 5, 20)) if rng.random() < 0.5 else None,
            "broker_order_id": f"b-{number}", "symbol": rng.choice(SYMBOLS), "side": rng.choice(("buy", "sell")),
            "quantity": qty, "order_type": "limit" if limit else "market", "price": px if limit else None,
            "stop_price": None, "time_in_force": rng.choice(("day", "gtc")), "status": status,
            "created_at": _at(number, rng), "submitted_at": _at(number, rng, minutes=1),
            "filled_at": _at(number, rng, minutes=2) if filled else None,
            "cancelled_at": _at(number, rng, minutes=5) if cancelled else None,
            "filled_quantity": qty if filled else 0.0, "filled_price": px if filled else None,
            "commission": round(rng.uniform(0, 2), 2) if filled else 0.0,
        }  # fmt: skip


def _positions(rng: random.Random, count: int) -> Iterator[dict]:
    for number in range(1, count + 1):
        closed, px, qty = rng.random() < 0.97, round(rng.uniform(5, 500), 2), float(rng.randrange(1, 300))
        side = rng.choice(("long", "long", "short"))
        out = round(px * rng.uniform(0.9, 1.1) + 0.01, 2)
        gain = round((out - px) * qty * (1 if side == "long" else -1), 2)
        yield {
            "id": number, "symbol": rng.choice(SYMBOLS), "entry_order_id": rng.randrange(1, count),
            "exit_order_id": rng.randrange(1, count) if closed else None, "quantity": qty, "side": side,
            "avg_entry_price": px, "avg_exit_price": out if closed else None, "status": "closed" if closed else "open",
            "opened_at": _at(number, rng), "closed_at": _at(number, rng, hours=4) if closed else None,
            "unrealized_pnl": 0.0, "realized_pnl": gain if closed else None, "stop_loss_price": round(px * 0.97, 2),
            "take_profit_price": None,
        }  # fmt: skip


def _trade_logs(rng: random.Random, count: int) -> Iterator[dict]:
    for number in range(1, count + 1):
        px, qty, commission = round(rng.uniform(5, 500), 2), float(rng.randrange(1, 300)), round(rng.uniform(0, 2), 2)
        out = round(px + rng.choice((-1.25, 2.5)), 2)
        gross = round((out - px) * qty, 2)
        yield {
            "id": number, "position_id": number, "symbol": rng.choice(SYMBOLS), "signal_generated_at": _at(number, rng),
            "order_placed_at": _at(number, rng), "position_opened_at": _at(number, rng),
            "position_closed_at": _at(number, rng, hours=4), "entry_price": px, "exit_price": out, "quantity": qty,
            "holding_period": 240, "gross_pnl": gross, "net_pnl": round(gross - commission, 2),
            "return_percent": round((out - px) / px * 100, 4), "commission_paid": commission,
            "strategy_name": rng.choice(("rsi_strategy", "breakout_strategy")), "signal_strength": 0.7,
            "market_conditions": '{"vix": 18.5}',
        }  # fmt: skip


def _signals(rng: random.Random, count: int) -> Iterator[dict]:
    for number in range(1, count + 1):
        yield {
            "id": number, "symbol": rng.choice(SYMBOLS), "direction": rng.choice(("buy", "sell")),
            "confidence_score": round(rng.random(), 3), "strength": round(rng.random(), 3),
            "generated_at": _at(number, rng), "price_at_signal": round(rng.uniform(5, 500), 2), "strategy_count": 2,
            "contributing_strategies": '["rsi_strategy", "momentum_strategy"]', "status": "processed",
        }  # fmt: skip


def _decisions(rng: random.Random, count: int) -> Iterator[dict]:
    for number in range(1, count + 1):
        passed = rng.random() < 0.3
        yield {
            "id": number, "signal_id": number, "symbol": rng.choice(SYMBOLS), "filtered_at": _at(number, rng),
            "passed": passed, "rejection_reason": None if passed else "max exposure", "position_size": 100.0,
            "exposure_percent": 0.04, "portfolio_risk": 0.1, "sector_exposure": None, "correlation_risk": 0.2,
        }  # fmt: skip


def _configurations(rng: random.Random, count: int) -> Iterator[dict]:
    for number in range(1, count + 1):
        yield {
            "id": number, "changed_at": _at(number, rng), "changed_by": "admin", "config_section": "risk",
            "old_value": '{"max_exposure_per_trade": 0.05, "api_key": "AKtopsecret"}',
            "new_value": f'{{"max_exposure_per_trade": 0.0{number % 9 + 1}}}', "reason": "tuned",
        }  # fmt: skip


def _metrics(rng: random.Random, count: int) -> Iterator[dict]:
    for number in range(1, count + 1):
        yield {
            "id": number, "recorded_at": _at(number, rng), "total_equity": 100_000.25 + number,
            "available_cash": 50_000.5, "total_positions": 3, "daily_pnl": -12.34, "win_rate": 0.5,
            "market_hours": True,
        }  # fmt: skip


def _stock_data(rng: random.Random, count: int) -> Iterator[dict]:
    for number in range(1, count + 1):
        yield {"id": number, "symbol": "IBM", "date": f"2021-01-{number:02}", "close": 120.5}


_ROWS = {
    "signals": _signals,
    "risk_filter_results": _decisions,
    "orders": _orders,
    "positions": _positions,
    "trade_logs": _trade_logs,
    "configuration_history": _configurations,
    "system_metrics": _metrics,
    "stock_data": _stock_data,
}
