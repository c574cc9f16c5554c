"""The largest quantity that would pass, asked of the gate itself: what denies an order says what would not."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import ROUND_CEILING, Decimal

from risk.gate import Verdict
from risk.rules import CandidateAccount, Denial, ProposedOrder
from tradingdesk.fields import plain

ABOUT_SIZE = "order_qty"
Judge = Callable[[ProposedOrder, CandidateAccount], Verdict]


def tell_largest(
    verdict: Verdict, order: ProposedOrder, candidates: Mapping[str, CandidateAccount], judge: Judge
) -> None:
    """Have the denials at each account where only the size is wrong say which size all controls together let pass."""
    if verdict.denials or order.order_qty is None:
        return
    for name, account in verdict.accounts.items():
        if _is_about_size(account.denials):
            largest = largest_qty(
                lambda qty, at=candidates[name]: judge(replace(order, order_qty=qty), at).allowed, order.order_qty
            )
            if largest > order.cum_qty:
                account.denials = [_passes(one, largest) for one in account.denials]


def largest_qty(passes: Callable[[Decimal], bool], asked: Decimal) -> Decimal:
    """The largest whole quantity below `asked` that passes; 0 when none does.

    What passes is taken to pass in any smaller size, so there are as many calls as `asked` has binary digits.
    """
    low, high = 0, int(asked.to_integral_value(ROUND_CEILING))
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if passes(Decimal(middle)) else (low, middle)
    return Decimal(low)


def _is_about_size(denials: list[Denial]) -> bool:
    return bool(denials) and all(one.field == ABOUT_SIZE for one in denials)


def _passes(denial: Denial, largest: Decimal) -> Denial:
    return replace(denial, passes=f"order_qty of at most {plain(largest)}, by every control together")
