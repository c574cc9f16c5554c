"""What TWS's numbered messages mean for an order or the connection; pure.

Numbers from IB's "API message codes" and from captured sessions. A number that is in no set proves nothing: a request
that only got such an answer is called unknown, and asked about.
"""

from __future__ import annotations

from brokers.messages import OrderRefused, TryLater

CLIENT_ID_IN_USE = 326
PORT_CHANGED = 1300
RATE_EXCEEDED = 100
DUPLICATE_ORDER_ID = 103
NO_HISTORY = 162
NO_SECURITY = 200
REJECTED = 201
CANCELLED = 202

# TWS itself is alive, but cut off from IB: nothing sent now is sure to arrive.
LOST = {1100: frozenset({1101, 1102}), 2110: frozenset({1101, 1102, 2104, 2106, 2158})}
DATA_LOST = 1101
RESTORED = frozenset({1101, 1102})

# Said of a new order, these prove that it was not taken; of a change, that the order stands as it was.
REFUSALS = frozenset(
    {
        DUPLICATE_ORDER_ID, 104, 105, 106, 107, 109, 110, 111, 113, 116, 117, 118, 119, 120, 121, 122, 125, 131, 132,
        134, 136, 137, 140, 144, 145, 146, 147, 148, 152, 153, 163, 168, NO_SECURITY, REJECTED, 203, 320, 321, 322,
        325, 328, 329, 355, 358, 361, 362, 363, 364, 365, 379, 380, 381, 382, 383, 385, 387, 388, 389, 390, 391, 392,
        394, 400, 401, 403, 405, 406, 407, 408, 409, 411, 416, 417, 421, 434, 435, 436, 437, 439, 440, 441, 442, 443,
        445, 446, 461, 478, 480, 481, 10003, 10005, 10006, 10007, 10008, 10013, 10014, 10020, 10043, 10052,
        10243, 10244, 10255, 10268, 10284, 10289, 10293, 10294, 10311, 10313, 10329,
    }
)  # fmt: skip
# Said only of a change: TWS has the order that it is about.
OF_A_CHANGE = frozenset({104, 105})
REFUSALS_OF_NEW = REFUSALS - OF_A_CHANGE
NOT_NOW = frozenset({RATE_EXCEEDED, DUPLICATE_ORDER_ID})
# A cancel that was not taken: the order may have filled, may be cancelled already, or be nobody's.
CANCEL_REFUSALS = frozenset({135, 136, 161, 10147, 10148})
NOT_THERE = frozenset({135, 10147})
# The order may be as it was or not; reading it again tells.
DOUBTS = CANCEL_REFUSALS | {104, 105, 110, 321, 329, 10349}
# No quote will come, and why (no permission, a competing session, no such thing, pacing).
NO_MARKET_DATA = frozenset({NO_SECURITY, 300, 310, 320, 321, 322, 354, 420, 10089, 10090, 10168, 10186, 10187, 10190,
                            10197, 10225, 10299})  # fmt: skip
DELAYED_INSTEAD = 10167


def refusal(code: int, text: str, *, is_new: bool = True, raw: object = None) -> OrderRefused:
    """Build the error for a refusal; one for now only is to be tried again, a new order under a new id."""
    kind = TryLater if code == RATE_EXCEEDED or (is_new and code in NOT_NOW) else OrderRefused
    return kind(f"{code}: {text}", code=str(code), raw=raw)


def is_warning(code: int) -> bool:
    """Whether a message to a request comes beside its answer, not in its place."""
    return 2100 <= code < 2200 or code in (DELAYED_INSTEAD, 399, 404)
