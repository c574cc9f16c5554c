"""Brackets, "oto" and "oco" orders among the others: every few orders that can have exits get them."""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

EVERY = 3
NEAR, FAR = Decimal("0.006"), Decimal("0.012")
CENT = Decimal("0.01")
CLASSES = ("bracket", "oto", "bracket", "oco")


def with_exits(bodies: Iterable[Mapping[str, Any]], mids: Mapping[str, Decimal]) -> Iterator[dict[str, Any]]:
    """The bodies, of those that can have exits every few with them; the market comes to some of these."""
    kinds, count = itertools.cycle(CLASSES), itertools.count()
    for body in bodies:
        linked = can_have_exits(body) and next(count) % EVERY == 0
        yield as_linked(body, next(kinds), mids[body["symbol"]]) if linked else dict(body)


def can_have_exits(body: Mapping[str, Any]) -> bool:
    """Whether an order of these terms can be an entry."""
    lasts = body["ord_type"] in ("market", "limit") and body["time_in_force"] in ("day", "gtc")
    return lasts and "." not in body.get("order_qty", ".")


def as_linked(body: Mapping[str, Any], order_class: str, mid: Decimal) -> dict[str, Any]:
    """An order with exits around its own price; an "oco" sells what is held around the market's."""
    terms = {name: value for name, value in body.items() if order_class != "oco" or name not in ("ord_type", "price")}
    if order_class == "oco":
        terms["side"] = "sell"
    around = Decimal(terms.get("price", mid))
    up = 1 if order_class == "oco" or terms["side"] == "buy" else -1
    exits = {
        "take_profit": {"limit_price": _cents(around * (1 + up * NEAR))},
        "stop_loss": {"stop_price": _cents(around * (1 - up * FAR))},
    }
    if order_class == "oto":
        del exits["take_profit"]
    return terms | exits | {"order_class": order_class}


def _cents(px: Decimal) -> str:
    return str(px.quantize(CENT))
