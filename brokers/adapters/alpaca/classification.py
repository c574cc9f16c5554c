"""What an unsuccessful call proves: pure functions from Alpaca's answers and the network's failures to our errors.

Alpaca's number codes are overloaded (40310000 is buying power, quantity, wash trade and more; 40010001 and 42210000
any validation), so the message decides. `BrokerError.code` is then one of the words in REASONS, or Alpaca's number.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Mapping
from typing import Any

from alpaca.common.exceptions import APIError
from requests.exceptions import ConnectionError as ConnectionFailed
from requests.exceptions import (
    ConnectTimeout,
    InvalidHeader,
    InvalidSchema,
    InvalidURL,
    MissingSchema,
    RequestException,
)
from urllib3.exceptions import NewConnectionError
from urllib3.exceptions import SSLError as HandshakeFailed

from brokers.messages import UNAUTHORIZED, BrokerError, NotSupported, OrderRefused, OutcomeUnknown, TryLater
from tradingdesk.redaction.known import redact

DUPLICATE_CLIENT_ORDER_ID = "DUPLICATE_CLIENT_ORDER_ID"
ORDER_REPLACED = "ORDER_REPLACED"
NOT_CHANGEABLE = "NOT_CHANGEABLE"
NOT_FOUND = "NOT_FOUND"
UNREACHABLE = "UNREACHABLE"

# The first that matches is the reason; wordings from Alpaca's documents and from answers that people published.
REASONS = (
    (re.compile(r"client[\s_-]?order[\s_-]?id must be unique", re.I), DUPLICATE_CLIENT_ORDER_ID),
    (re.compile(r"in .?replaced.? (state|status)", re.I), ORDER_REPLACED),
    (re.compile(r"order is already in|not cancel+able|cannot be cancel|cannot replace order in", re.I), NOT_CHANGEABLE),
    (re.compile(r"insufficient (day ?trading )?buying power", re.I), "INSUFFICIENT_BUYING_POWER"),
    (re.compile(r"insufficient (qty|quantity|balance)", re.I), "INSUFFICIENT_QUANTITY"),
    (re.compile(r"fraction", re.I), "FRACTION_REFUSED"),
    (re.compile(r"wash trade|opposite side", re.I), "WASH_TRADE"),
    (re.compile(r"sub-penny|minimum pricing criteria", re.I), "SUB_PENNY"),
    (re.compile(r"cost basis|minimal amount", re.I), "BELOW_MINIMUM"),
    (re.compile(r"cannot be sold short|not allowed to short|shorting", re.I), "SHORTING_REFUSED"),
    (re.compile(r"not (active|tradable)|asset .* not found|could not find asset", re.I), "NOT_TRADABLE"),
    (re.compile(r"suspended|trading .*(blocked|restricted)|account .*(blocked|restricted)", re.I), "TRADING_BLOCKED"),
    (re.compile(r"not authorized|unauthorized|^forbidden\.?$|access key", re.I), UNAUTHORIZED),
)
# "Not found" has to be said of a thing: a 404 for the path (a wrong base_url) must not pass for "no such order".
THING_NOT_FOUND = re.compile(r"(order|asset|position|symbol)\b.*(not found|does not exist)", re.I)
NOT_FOUND_NUMBER = 40410000

# Answers that say the request was read and not taken. 408, 409, 425 and 499 prove nothing.
PROOF = frozenset({400, 401, 403, 404, 405, 413, 415, 422})
NEVER_SENT = (InvalidURL, InvalidSchema, MissingSchema, InvalidHeader)
LONGEST_WAIT = 60.0


def classify_failure(failure: Exception, *, now: float) -> BrokerError:
    """Turn what alpaca-py raised into one of our errors; `now` is unix time, for the rate limit's reset."""
    if isinstance(failure, APIError):
        response = failure.response
        return classify_answer(response.status_code, str(failure), response.headers, now=now)
    if isinstance(failure, NEVER_SENT):
        return NotSupported(_said(failure))
    if isinstance(failure, RequestException) and was_never_sent(failure):
        return TryLater(_said(failure), code=UNREACHABLE)
    return OutcomeUnknown(_said(failure))


def classify_answer(status_code: int, body: str, headers: Mapping[str, str], *, now: float) -> BrokerError:
    """Turn an answer of 300 and above into one of our errors.

    A refusal counts only in Alpaca's own form, a JSON object with a message: a proxy's or a CDN's page proves nothing
    about the order. 429 is believed from anybody, as a limiter answers in the place of what it protects.
    """
    answer = read_error(body)
    text = answer.get("message") or f"HTTP {status_code}: {_excerpt(body)}"
    code = _is_not_found(status_code, answer) or reason_of(text) or str(answer.get("code") or status_code)
    if status_code == 429:
        return TryLater(text, retry_after=seconds_to_wait(headers, now=now), code=code, raw=answer)
    if status_code in PROOF and answer.get("message"):
        return OrderRefused(text, code=code, raw=answer)
    return OutcomeUnknown(text, code=code, raw=answer)


def was_never_sent(failure: RequestException) -> bool:
    """Tell whether no connection came about, so that not a byte of the request has left."""
    if isinstance(failure, ConnectTimeout):
        return True
    if not isinstance(failure, ConnectionFailed) or not failure.args:
        return False
    reason = getattr(failure.args[0], "reason", None)
    if isinstance(reason, HandshakeFailed):
        return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in reason.args)
    return isinstance(reason, NewConnectionError)


def read_error(body: str) -> dict[str, Any]:
    """Read Alpaca's error object; {} for an empty, HTML or other body."""
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    if not isinstance(answer, dict):
        return {}
    return {**answer, "message": str(answer.get("message") or "")}


def reason_of(text: str) -> str:
    """Name the reason that a message gives; "" where it is none that we know."""
    return next((word for pattern, word in REASONS if pattern.search(text)), "")


def seconds_to_wait(headers: Mapping[str, str], *, now: float) -> float:
    """Read Retry-After, else X-RateLimit-Reset (unix seconds); 1 s where neither is usable, at most a minute."""
    for name, since in (("Retry-After", 0.0), ("X-RateLimit-Reset", now)):
        try:
            return min(max(int(headers[name]) - since, 0.1), LONGEST_WAIT)
        except (KeyError, ValueError):
            continue
    return 1.0


def _is_not_found(status_code: int, answer: Mapping[str, Any]) -> str:
    """Look at the status first: the message may quote an id, and ids may hold any words."""
    named = answer.get("code") == NOT_FOUND_NUMBER or THING_NOT_FOUND.search(answer.get("message", ""))
    return NOT_FOUND if status_code == 404 and named else ""


def _excerpt(body: str) -> str:
    return " ".join(body.split())[:200] or "no body"


def _said(failure: Exception) -> str:
    return redact(f"{type(failure).__name__}: {failure}")[:500]
