"""How often, and how soon again."""

from collections.abc import Iterable

from risk.controls.control import BEFORE_ACCOUNTS, Case, ControlSpec, Stage, Unit, above
from risk.models import Control, Scope
from risk.rules import Bound, Denial
from tradingdesk.fields import plain

SAME = "the same order before"
MESSAGES = "messages lately"
REPEATED = "orders of the strategy that traded lately"
_COUNTED_FOR = (Scope.FIRM, Scope.BROKER, Scope.ACCOUNT, Scope.STRATEGY, Scope.SYMBOL, Scope.USER)


def _duplicate(case: Case, bound: Bound) -> Iterable[Denial]:
    """Deny what was entered before, less than so many seconds ago: same symbol, side, size, prices, type, strategy."""
    earlier = case.fact(SAME)
    if earlier is None or earlier.seconds >= bound.value:
        return
    ago = f"{earlier.seconds:.1f}"
    detail = f"the same order was entered {ago} s ago as {earlier.client_order_id}, wanted={plain(bound.value)}"
    passes = f"the same order in {bound.value - earlier.seconds:.1f} s, or another"
    yield bound.denial("DUPLICATE_ORDER", detail, found=ago, passes=passes)


def _messages(name: str, seconds: int):
    def check(case: Case, bound: Bound) -> Iterable[Denial]:
        """Count new orders, replaces and cancels of the limit's own scope, and this one."""
        found = case.fact(MESSAGES).count(bound.scope, bound.scope_key, seconds) + 1
        passes = f"the same order once fewer than {plain(bound.value)} were sent within {seconds} s"
        yield from above(bound, "MESSAGE_RATE_EXCEEDS_MAXIMUM", name, found, field="", passes=passes)

    return check


def _repeated(case: Case, bound: Bound) -> Iterable[Denial]:
    """Deny a strategy that has traded in the symbol, on the side, too often within the hour (RTS 6, article 15(3))."""
    if not case.order.strategy:
        return
    found = case.fact(REPEATED) + 1
    passes = "orders of this strategy once a risk officer has taken the restriction away and the hour is over"
    yield from above(bound, "REPEATED_EXECUTIONS", "executed orders in an hour", found, field="strategy", passes=passes)


DUPLICATE_WINDOW = ControlSpec(
    Control.DUPLICATE_WINDOW,
    "seconds within which the same order is not entered again",
    Unit.SECONDS,
    BEFORE_ACCOUNTS,
    _duplicate,
    stage=Stage.ORDER,
    tightest=max,
    needs=frozenset({SAME}),
)
MAX_MESSAGES_PER_SECOND = ControlSpec(
    Control.MAX_MESSAGES_PER_SECOND,
    "new orders, replaces and cancels to brokers in any second",
    Unit.COUNT,
    _COUNTED_FOR,
    _messages("messages in a second", 1),
    each=True,
    needs=frozenset({MESSAGES}),
)
MAX_MESSAGES_PER_MINUTE = ControlSpec(
    Control.MAX_MESSAGES_PER_MINUTE,
    "new orders, replaces and cancels to brokers in any minute",
    Unit.COUNT,
    _COUNTED_FOR,
    _messages("messages in a minute", 60),
    each=True,
    needs=frozenset({MESSAGES}),
)
MAX_REPEATED_EXECUTIONS = ControlSpec(
    Control.MAX_REPEATED_EXECUTIONS,
    "orders of one strategy in one symbol, on one side, that traded within an hour, and replaces after that; past it "
    "the strategy is restricted",
    Unit.COUNT,
    BEFORE_ACCOUNTS,
    _repeated,
    stage=Stage.ORDER,
    needs=frozenset({REPEATED}),
)
