"""What TWS refuses, and in which words."""

from __future__ import annotations

from decimal import Decimal

from brokers.sandbox.accounts import TwsProfile
from brokers.sandbox.book import Refused
from brokers.sandbox.tws.words import price

NO_CONTRACT = (200, "No security definition has been found for the request")
DUPLICATE_ORDER_ID = (103, "Duplicate order id")
FILLED_ALREADY = (104, "Cannot modify a filled order.")
NOT_CHANGEABLE = (105, "Order being modified does not match original order")
MIN_VARIATION = (110, "The price does not conform to the minimum price variation for this contract.")
CLIENT_ID_IN_USE = (326, "Unable to connect as the client id is already in use. Retry with a unique client id.")
MISSING_PARENT = (10006, "Missing parent order")
NO_FRACTIONS = (
    10243,
    "Fractional-sized order cannot be placed via API. Please use desktop version to place this order.",
)
NO_CASH_QUANTITY = (10244, "Cash quantity cannot be used for this order")
TIF_PRESET = (10349, "Order TIF was set to DAY based on order preset.")
UNKNOWN_MESSAGE = (505, "Fatal Error: Unknown message id.")
CANCELLED = (202, "Order Canceled - reason:{}")
FARMS_OK = (
    (2104, "Market data farm connection is OK:usfarm"),
    (2106, "HMDS data farm connection is OK:ushmds"),
    (2158, "Sec-def data farm connection is OK:secdefnj"),
)
CONNECTIVITY = {
    1100: "Connectivity between IB and Trader Workstation has been lost.",
    1101: "Connectivity between IB and Trader Workstation has been restored - data lost.",
    1102: "Connectivity between IB and Trader Workstation has been restored - data maintained.",
    1300: "Socket port has been reset and this connection is being dropped. Please reconnect on the new port - {port}",
    2103: "Market data farm connection is broken:usfarm",
    2104: "Market data farm connection is OK:usfarm",
    2108: "Market data farm connection is inactive but should be available upon demand.usfarm",
    2110: "Connectivity between Trader Workstation and server is broken. It will be restored automatically.",
}
MARKET_DATA = {
    354: "Requested market data is not subscribed.",
    10089: "Requested market data requires additional subscription for API. See link in 'Market Data Connections' "
    "dialog for more details.Delayed market data is available.",
    10167: "Requested market data is not subscribed. Displaying delayed market data.",
    10197: "No market data during competing live session",
}
NO_SUCH_REQUEST = (300, "Can't find EId with tickerId:{}")


class Refusal(Exception):
    """TWS will not do it: an error's code and words."""

    def __init__(self, code: int, text: str):
        super().__init__(text)
        self.code, self.text = code, text


def no_history(why: str) -> Refusal:
    """The servers for historical data have nothing to give."""
    return Refusal(162, f"Historical Market Data Service error message:{why}")


def invalid(cause: str) -> Refusal:
    """A request that TWS itself finds wrong."""
    return Refusal(321, f"Error validating request.-'bN' : cause - {cause}")


def rejected(reason: str) -> Refusal:
    """An order that IB's servers refuse."""
    return Refusal(201, f"Order rejected - reason:{reason}")


def in_tws_words(refused: Refused) -> Refusal:
    """The venue's refusal of a new order, or of a change."""
    about = refused.details
    if refused.reason == "insufficient_buying_power":
        return rejected(_too_dear(about["buying_power"], about["cost_basis"]))
    if refused.reason in ("short_not_allowed", "fractional_short", "insufficient_qty"):
        return rejected("The contract is not available for short sale.")
    if refused.reason == "not_replaceable":
        return Refusal(*(FILLED_ALREADY if about["status"] == "filled" else NOT_CHANGEABLE))
    if refused.reason == "opening_is_over":
        return rejected("At-the-opening orders are taken before the open only.")
    return rejected(refused.reason.replace("_", " ").upper())


def too_fast(most: int, found: int) -> Refusal:
    """More messages in a second than TWS takes."""
    return Refusal(100, f"Max rate of messages per second has been exceeded:max={most} rec={found} (1)")


def ordered(status: int, text: str | None, tws: TwsProfile) -> Refusal:
    """The error that a test wants: a code of TWS's, or HTTP's 429 for too many requests."""
    if status == 429:
        return too_fast(tws.max_messages_per_s, tws.max_messages_per_s + 1)
    known = MARKET_DATA | CONNECTIVITY
    return Refusal(status, text if text is not None else known.get(status, "ordered error"))


def cannot_cancel(order_id: int, status: str) -> Refusal:
    """A cancel that comes too late."""
    return Refusal(10148, f"OrderId {order_id} that needs to be cancelled cannot be cancelled, state: {status}.")


def unknown_cancel(order_id: int) -> Refusal:
    """A cancel of an order that TWS does not have."""
    return Refusal(10147, f"OrderId {order_id} that needs to be cancelled is not found.")


def not_cancellable(perm_id: int) -> Refusal:
    """A cancel of an order that is being cancelled already."""
    return Refusal(161, f"Cancel attempted when order is not in a cancellable state.  Order permId ={perm_id}")


def _too_dear(power: Decimal, cost: Decimal) -> str:
    return (
        "YOUR ORDER IS NOT ACCEPTED. IN ORDER TO OBTAIN THE DESIRED POSITION YOUR EQUITY WITH LOAN VALUE "
        f"[{price(power)} USD] MUST EXCEED THE INITIAL MARGIN [{price(cost)} USD]"
    )
