"""Whether the market is open, and whether the broker's clock is ours."""

from collections.abc import Iterable

from risk.controls.control import ANYWHERE, Case, ControlSpec, Unit, Unmeasured, above
from risk.controls.prices import session_open
from risk.models import Control, Scope
from risk.rules import Bound, Denial


def _session(case: Case, bound: Bound) -> Iterable[Denial]:
    if case.order.waits or session_open(case):
        return
    passes = "the same order in the session, for the opening (opg), or with extended_hours"
    yield bound.denial("SESSION_CLOSED", "the market is closed at this account", found="closed", passes=passes)


def _drift(case: Case, bound: Bound) -> Iterable[Denial]:
    drift = case.account.clock_drift
    if drift is None:
        raise Unmeasured("the broker's clock has not been read at this account lately")
    passes = "the same order once the clocks agree: check this machine's time"
    yield from above(bound, "CLOCK_DRIFT_EXCEEDS_MAXIMUM", "clock_drift", abs(drift), field="", passes=passes)


SESSION_ONLY = ControlSpec(
    Control.SESSION_ONLY,
    "no orders while the market is closed, but for extended hours and for the opening",
    Unit.FLAG,
    ANYWHERE,
    _session,
    reads_clock=True,
)
MAX_CLOCK_DRIFT = ControlSpec(
    Control.MAX_CLOCK_DRIFT,
    "seconds between the broker's clock and ours",
    Unit.SECONDS,
    (Scope.FIRM, Scope.BROKER, Scope.ACCOUNT),
    _drift,
    reads_clock=True,
)
