"""What clients ask, field by field, as server version 176 is asked; checked for shape only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from brokers.sandbox.tws.framing import WireError

UNSET_DOUBLE = Decimal("1.7976931348623157E308")
PEGGED_TO_BENCHMARK = ("PEG BENCH", "PEGBENCH")


@dataclass(frozen=True, slots=True)
class ContractSpec:
    """A contract as a client describes it; what is left out is empty."""

    con_id: int
    symbol: str
    sec_type: str
    exchange: str
    primary_exchange: str
    currency: str
    local_symbol: str


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    """A new order, or the change of a live one with the same id."""

    order_id: int
    contract: ContractSpec
    action: str
    total_quantity: Decimal
    order_type: str
    lmt_price: Decimal | None
    aux_price: Decimal | None
    tif: str
    oca_group: str
    oca_type: int
    account: str
    order_ref: str
    transmit: bool
    parent_id: int
    outside_rth: bool
    trail_stop_price: Decimal | None
    trailing_percent: Decimal | None
    cash_qty: Decimal | None
    what_if: bool
    algo_strategy: str
    conditions: int


@dataclass(frozen=True, slots=True)
class ExecutionFilter:
    """Which executions are asked for; empty means any, client 0 means all."""

    client_id: int
    account: str
    time: str
    symbol: str
    sec_type: str
    exchange: str
    side: str


class Fields:
    """The fields of one message, taken from the front."""

    def __init__(self, fields: list[str]):
        self._left: Iterator[str] = iter(fields)

    def text(self) -> str:
        """The next field. Raises WireError at the end."""
        try:
            return next(self._left)
        except StopIteration:
            raise WireError("a message is too short") from None

    def skip(self, count: int) -> None:
        """Leave out the next fields."""
        for _ in range(count):
            self.text()

    def integer(self) -> int:
        """The next field as a whole number; 0 for an empty one. Raises WireError."""
        raw = self.text()
        try:
            return int(raw or 0)
        except ValueError:
            raise WireError(f"{raw[:40]!r} is not a whole number") from None

    def truth(self) -> bool:
        """The next field as a truth; False for an empty one."""
        return bool(self.integer())

    def decimal(self) -> Decimal | None:
        """The next field as a number; None for an empty or unset one. Raises WireError."""
        raw = self.text()
        try:
            number = Decimal(raw) if raw else None
        except InvalidOperation:
            raise WireError(f"{raw[:40]!r} is not a number") from None
        if number is not None and not number.is_finite():
            raise WireError(f"{raw[:40]!r} is not a number")
        return None if number == UNSET_DOUBLE else number


def read_client_id(fields: list[str]) -> int:
    """The client's id in START_API. Raises WireError."""
    read = Fields(fields)
    read.skip(2)  # the message's id, its version
    return read.integer()


def read_contract(fields: Fields) -> ContractSpec:
    """A contract in the order in which clients write its twelve fields."""
    con_id, symbol, sec_type = fields.integer(), fields.text(), fields.text()
    fields.skip(4)  # expiry, strike, right, multiplier
    exchange, primary, currency, local_symbol = (fields.text() for _ in range(4))
    fields.skip(1)  # trading class
    return ContractSpec(con_id, symbol.upper(), sec_type.upper(), exchange.upper(), primary, currency, local_symbol)


def read_place_order(fields: Fields) -> PlaceOrder:
    """The fields behind the message's id 3. Raises WireError; combinations are not read to their end."""
    order_id, contract = fields.integer(), read_contract(fields)
    fields.skip(2)  # secIdType, secId
    values = {"order_id": order_id, "contract": contract, **_main_part(fields)}
    if contract.sec_type == "BAG":
        return PlaceOrder(**values, **_UNREAD)
    fields.skip(12)  # sharesAllocation … exemptCode, faProfile among them
    values["oca_type"] = fields.integer()
    fields.skip(17)  # rule80A … volatilityType
    if fields.text():  # deltaNeutralOrderType
        fields.skip(8)
    fields.skip(3)  # deltaNeutralAuxPrice, continuousUpdate, referencePriceType
    values |= {"trail_stop_price": fields.decimal(), "trailing_percent": fields.decimal()}
    return PlaceOrder(**values, **_last_part(fields, values["order_type"]))


_UNREAD = {
    "oca_type": 0,
    "trail_stop_price": None,
    "trailing_percent": None,
    "cash_qty": None,
    "what_if": False,
    "algo_strategy": "",
    "conditions": 0,
}


def _main_part(fields: Fields) -> dict:
    values = {
        "action": fields.text().upper(),
        "total_quantity": fields.decimal() or Decimal(0),
        "order_type": fields.text().upper(),
        "lmt_price": fields.decimal(),
        "aux_price": fields.decimal(),
        "tif": fields.text().upper(),
        "oca_group": fields.text(),
        "account": fields.text(),
    }
    fields.skip(2)  # openClose, origin
    values |= {"order_ref": fields.text(), "transmit": fields.truth(), "parent_id": fields.integer()}
    fields.skip(4)  # blockOrder, sweepToFill, displaySize, triggerMethod
    values["outside_rth"] = fields.truth()
    fields.skip(1)  # hidden
    return values


def _last_part(fields: Fields, order_type: str) -> dict:
    fields.skip(2)  # scaleInitLevelSize, scaleSubsLevelSize
    if (fields.decimal() or 0) > 0:  # scalePriceIncrement
        fields.skip(7)
    fields.skip(3)  # scaleTable, activeStartTime, activeStopTime
    if fields.text():  # hedgeType
        fields.skip(1)
    fields.skip(4)  # optOutSmartRouting … notHeld
    if fields.truth():  # deltaNeutralContract
        fields.skip(3)
    algo = fields.text()
    if algo:
        fields.skip(2 * fields.integer())
    fields.skip(1)  # algoId
    values = {"algo_strategy": algo, "what_if": fields.truth()}
    fields.skip(4)  # orderMiscOptions, solicited, randomizeSize, randomizePrice
    if order_type in PEGGED_TO_BENCHMARK:
        fields.skip(5)
    values["conditions"] = fields.integer()
    if values["conditions"]:
        return values | {"cash_qty": None}
    fields.skip(10)  # adjustedOrderType … softDollarTier.val
    return values | {"cash_qty": fields.decimal()}


def read_execution_filter(fields: Fields) -> ExecutionFilter:
    """The filter behind the request's id."""
    return ExecutionFilter(fields.integer(), *(fields.text() for _ in range(6)))
