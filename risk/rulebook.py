"""The rules in force, kept in each process until their version moves on.

Whoever changes a limit or a halt bumps `rules_version` on the firm's row under its lock; intake
reads that row locked as its last read, so an order never passes by a rule that is already changed.
"""

import threading

from risk.exposure import FIRM_KEY
from risk.levels import HaltInForce
from risk.models import ExposureTotal, Halt, Limit
from risk.rules import Rulebook
from tradingdesk.statements import Param, Select

_version = Select(ExposureTotal.objects.filter(key=Param("firm")).order_by().values_list("rules_version"))
_lock = threading.Lock()
_kept: Rulebook | None = None


def rulebook(version: int) -> Rulebook:
    """The rules of this version; read anew when the process keeps another."""
    global _kept
    kept = _kept
    if kept is None or kept.version != version:
        kept = _read(version)
        with _lock:
            _kept = kept
    return kept


def current_rulebook() -> Rulebook:
    """The rules now, for readers that hold no lock."""
    (version,) = _version.first(firm=FIRM_KEY) or (0,)
    return rulebook(version)


def kept_rulebook() -> Rulebook:
    """The rules as this process last saw them: for hints only, never for a decision."""
    return _kept or current_rulebook()


def forget() -> None:
    """Drop what the process keeps (tests, and a restored database)."""
    global _kept
    _kept = None


def _read(version: int) -> Rulebook:
    limits = {(row.control, row.scope, row.scope_key, row.hard): row.value for row in Limit.objects.all()}
    return Rulebook(version=version, limits=limits, halts=_halts())


def _halts() -> dict[tuple[str, str], list[HaltInForce]]:
    found: dict[tuple[str, str], list[HaltInForce]] = {}
    for row in Halt.objects.filter(cleared_at=None).order_by("id"):
        halt = HaltInForce(row.scope, row.scope_key, row.level, row.operation, row.reason)
        found.setdefault((row.scope, row.scope_key), []).append(halt)
    return found
