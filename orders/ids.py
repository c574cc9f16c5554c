"""The desk's own order ids: made once, never again the same, also after a restore from a backup."""

import secrets
import time
from functools import cache

from orders.models import DeskState


@cache
def restore_epoch() -> int:
    """How often this database was restored, plus one; read once per process."""
    state, _ = DeskState.objects.get_or_create(pk=1)
    return state.restore_epoch


def new_client_order_id() -> str:
    """Make an id that sorts by time: epoch, milliseconds and 48 random bits; 27 characters or so."""
    return f"d{restore_epoch()}-{time.time_ns() // 1_000_000:011x}{secrets.token_hex(6)}"


def next_request_id(client_order_id: str, mark: str, number: int) -> str:
    """The id of an order's n-th request of a kind: `R` replace, `C` cancel, `N` sent anew elsewhere."""
    return f"{client_order_id}-{mark}{number}"
