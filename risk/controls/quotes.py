"""What makes a quote usable; `orders.decision` reads these limits where it takes an account's quote."""

from risk.controls.control import ControlSpec, Unit
from risk.models import Control, Scope

_SCOPES = (Scope.FIRM, Scope.BROKER, Scope.ACCOUNT, Scope.SYMBOL, Scope.ASSET_CLASS)

MAX_QUOTE_AGE = ControlSpec(
    Control.MAX_QUOTE_AGE,
    "seconds since the broker confirmed the quote that an order is judged by",
    Unit.SECONDS,
    _SCOPES,
    may_warn=False,
)
MAX_QUOTE_LAG = ControlSpec(
    Control.MAX_QUOTE_LAG,
    "seconds that the feed itself may be behind",
    Unit.SECONDS,
    _SCOPES,
    may_warn=False,
)
