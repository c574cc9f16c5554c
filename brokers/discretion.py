"""What a broker says, without our own secrets where it repeats them: before anything is stored or told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from brokers.messages import CancelRejected, ExecutionReport
from tradingdesk.redaction.known import holds_secret, redact, redacted


def discreet(answer: Any) -> Any:
    """A broker's answer, a fact or a list of facts, with `***` for secrets in texts and payloads; mostly as it was."""
    if isinstance(answer, list):
        return [discreet(one) for one in answer]
    if isinstance(answer, ExecutionReport) and answer.legs:
        answer = replace(answer, legs=tuple(discreet(leg) for leg in answer.legs))
    if not isinstance(answer, ExecutionReport | CancelRejected) or not _tells_one(answer):
        return answer
    return replace(answer, text=redact(answer.text), raw=redacted(dict(answer.raw)))


def _tells_one(fact: ExecutionReport | CancelRejected) -> bool:
    return holds_secret(fact.text) or holds_secret(repr(fact.raw))
