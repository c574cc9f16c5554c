"""What the seed decides before anything runs: how many of what, in which step."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from tests.faults.catalogue import KILLS, Kill

ORDERS_A_STEP = 15
NOTIONAL_AN_ORDER = 1_500


@dataclass(frozen=True, slots=True)
class Step:
    """One batch of orders, the faults ordered before it, deeds and changes beside it, perhaps a kill during it."""

    orders: int
    faults: int
    deeds: int
    changes: int
    kill: Kill | None


@dataclass(frozen=True, slots=True)
class Plan:
    """The size of a run; the same plan is the same script."""

    seed: int
    orders: int
    kills: int
    faults: int

    @property
    def portfolio_risk_limit(self) -> int:
        """A limit that is reached towards the end of the run."""
        return max(self.orders, 20) * NOTIONAL_AN_ORDER

    def steps(self) -> Iterator[Step]:
        """The steps of the run; kills are spread over them, each kind once before any comes again."""
        count = max(self.kills, -(-self.orders // ORDERS_A_STEP), 1)
        kills = _spread(self._kills(), count)
        numbers = zip(_shares(self.orders, count), _shares(self.faults, count), kills, strict=True)
        for orders, faults, kill in numbers:
            deeds = -(-faults // 8)
            yield Step(orders, faults - deeds, deeds, changes=-(-orders // 3), kill=kill)

    def _kills(self) -> list[Kill]:
        chance = random.Random(f"{self.seed}:kills")
        rounds = -(-self.kills // len(KILLS))
        kills = [kill for _ in range(rounds) for kill in KILLS][: self.kills]
        chance.shuffle(kills)
        return kills


def _shares(total: int, count: int) -> list[int]:
    """A total in so many nearly equal parts."""
    return [total * (number + 1) // count - total * number // count for number in range(count)]


def _spread(kills: list[Kill], count: int) -> list[Kill | None]:
    """The kills at even distances among so many steps."""
    places: list[Kill | None] = [None] * count
    for number, kill in enumerate(kills):
        places[number * count // len(kills)] = kill
    return places
