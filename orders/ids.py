"""The desk's own order ids: made once, never again the same, also after a restore from a backup.

What was sent after the backup is known to brokers alone. So each life of the desk, from one restore to the next, has
an epoch of its own in every id that it makes, also where a number counts from the order's own requests.
"""

import secrets
import time
from datetime import UTC, datetime
from functools import cache

from orders.models import DeskState

LONGEST = 48  # what brokers take
_FIRST = 1
_EPOCHS_BEGAN = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


@cache
def restore_epoch() -> int:
    """The epoch of this database, read once per process."""
    state, _ = DeskState.objects.get_or_create(pk=1)
    return state.restore_epoch


def was_restored() -> bool:
    """Whether this database came back from the past at some time."""
    return restore_epoch() > _FIRST


def begin_epoch() -> int:
    """Give the database an epoch that none has had: two restores of one backup, too, differ in their time."""
    state, _ = DeskState.objects.get_or_create(pk=1)
    state.restore_epoch = max(state.restore_epoch + 1, int(time.time()) - _EPOCHS_BEGAN)
    state.save()
    restore_epoch.cache_clear()
    return state.restore_epoch


def new_client_order_id() -> str:
    """Make an id that sorts by time: epoch, milliseconds and 48 random bits; 31 characters at most."""
    return f"{order_id_prefix()}-{time.time_ns() // 1_000_000:011x}{secrets.token_hex(6)}"


def order_id_prefix() -> str:
    """What the ids of this life of the desk begin with, for ids that are made from something else than time."""
    return f"d{_short(restore_epoch())}"


def next_request_id(client_order_id: str, mark: str, number: int) -> str:
    """The id of an order's n-th request of a kind: `R` replace, `C` cancel, `N` sent anew elsewhere.

    After a restore it has the epoch, too; where that is too long for brokers, it is an id of its own.
    """
    epoch = restore_epoch()
    if epoch == _FIRST:
        return f"{client_order_id}-{mark}{number}"
    made = f"{client_order_id}-{mark}{_short(epoch)}.{number}"
    return made if len(made) <= LONGEST else new_client_order_id()


def _short(number: int) -> str:
    """A number to the base of 36."""
    digits = ""
    while number:
        number, digit = divmod(number, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits
