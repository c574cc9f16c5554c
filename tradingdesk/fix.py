"""The desk's vocabulary: FIX terms in snake_case, one place for every enumeration.

Values are what is stored, sent in API answers and shown to people; FIX tag numbers are beside them.
"""

from django.db.models import TextChoices


class Side(TextChoices):
    """FIX 54."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell: what one unit does to a position."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> "Side":
        """The side of an order that undoes one of this side."""
        return Side.SELL if self is Side.BUY else Side.BUY


class OrdType(TextChoices):
    """FIX 40."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    TRAILING_STOP = "trailing_stop"


class TimeInForce(TextChoices):
    """FIX 59."""

    DAY = "day"
    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"
    OPG = "opg"
    CLS = "cls"


class OrderClass(TextChoices):
    """How orders are tied together (FIX 1385, contingency type)."""

    SIMPLE = "simple"
    BRACKET = "bracket"
    OCO = "oco"
    OTO = "oto"


class LegRole(TextChoices):
    """What an order of a group is for; FIX has no such tag, brokers of brackets do."""

    ENTRY = "entry", "Entry"
    TAKE_PROFIT = "take_profit", "Take profit"
    STOP_LOSS = "stop_loss", "Stop loss"


class OrdStatus(TextChoices):
    """FIX 39, plus `denied`: our own gate's answer, where `rejected` is a broker's.

    `pending_approval` is FIX's pending new before a second person has approved it: no broker has heard of it.
    """

    PENDING_APPROVAL = "pending_approval"
    PENDING = "pending"
    NEW = "new"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    PENDING_CANCEL = "pending_cancel"
    PENDING_REPLACE = "pending_replace"
    CANCELED = "canceled"
    REPLACED = "replaced"
    REJECTED = "rejected"
    EXPIRED = "expired"
    DONE_FOR_DAY = "done_for_day"
    SUSPENDED = "suspended"
    DENIED = "denied"


class WorkingAs(TextChoices):
    """How the order stands in the broker's book, as the broker last said it; or that the desk still holds it back."""

    PENDING_APPROVAL = "pending_approval"
    NEW = "new"
    PENDING_CANCEL = "pending_cancel"
    PENDING_REPLACE = "pending_replace"
    DONE_FOR_DAY = "done_for_day"
    SUSPENDED = "suspended"


class ClosedAs(TextChoices):
    """Why an order works no more. `filled` is not here: it follows from the executions."""

    CANCELED = "canceled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    REPLACED = "replaced"
    DENIED = "denied"


class ExecType(TextChoices):
    """FIX 150: why a report came."""

    PENDING_NEW = "pending_new"
    NEW = "new"
    TRADE = "trade"
    TRADE_CANCEL = "trade_cancel"
    TRADE_CORRECT = "trade_correct"
    PENDING_CANCEL = "pending_cancel"
    PENDING_REPLACE = "pending_replace"
    CANCELED = "canceled"
    REPLACED = "replaced"
    REJECTED = "rejected"
    EXPIRED = "expired"
    DONE_FOR_DAY = "done_for_day"
    SUSPENDED = "suspended"
    RESTATED = "restated"
    ORDER_STATUS = "order_status"


class RequestKind(TextChoices):
    """What an order request asks a broker for."""

    NEW = "new"
    CANCEL = "cancel"
    REPLACE = "replace"


class RequestState(TextChoices):
    """How far an order request has come; `sending` is committed before the socket is touched."""

    QUEUED = "queued"
    SENDING = "sending"
    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    REFUSED = "refused"


class AssetClass(TextChoices):
    """What kind of thing an instrument is."""

    US_EQUITY = "us_equity"
    CRYPTO = "crypto"
    OPTION = "option"
    FUTURE = "future"
    FOREX = "forex"
