"""What an answer or a failure proves about a request."""

import json
import ssl

import pytest
from alpaca.common.exceptions import APIError
from requests import exceptions as failures
from urllib3.exceptions import MaxRetryError, NewConnectionError, SSLError

from brokers.adapters.alpaca.classification import classify_answer, classify_failure, seconds_to_wait
from brokers.messages import NotSupported, OrderRefused, OutcomeUnknown, TryLater

NOW = 1_765_000_000.0


def answered(status: int, body, headers=None):
    text = body if isinstance(body, str) else json.dumps(body)
    return classify_answer(status, text, headers or {}, now=NOW)


@pytest.mark.parametrize(
    ("status", "number", "message", "word"),
    [
        (403, 40310000, "insufficient buying power", "INSUFFICIENT_BUYING_POWER"),
        (403, 40310000, "insufficient qty available for order (requested: 10, available: 2)", "INSUFFICIENT_QUANTITY"),
        (403, 40310000, 'asset "IBM" is not fractionable', "FRACTION_REFUSED"),
        (403, 40310000, "potential wash trade detected. use complex orders", "WASH_TRADE"),
        (403, 40310000, "cost basis must be >= minimal amount of order 1", "BELOW_MINIMUM"),
        (403, 40310000, "account is suspended from trading", "TRADING_BLOCKED"),
        (
            422,
            42210000,
            "invalid limit_price 290.123. sub-penny increment does not fulfill minimum pricing criteria",
            "SUB_PENNY",
        ),
        (422, 40010001, "client_order_id must be unique", "DUPLICATE_CLIENT_ORDER_ID"),
        (422, 42210000, "Client Order ID must be unique", "DUPLICATE_CLIENT_ORDER_ID"),
        (422, 42210000, 'order is already in "filled" state', "NOT_CHANGEABLE"),
        (422, 42210000, 'order is already in "replaced" state', "ORDER_REPLACED"),
        (422, 42210000, "cannot replace order in replaced status", "ORDER_REPLACED"),
        (422, 42210000, "cannot replace order in pending_new status", "NOT_CHANGEABLE"),
        (422, 42210000, "asset IBM is not active", "NOT_TRADABLE"),
        (401, 40110000, "request is not authorized", "UNAUTHORIZED"),
        (403, None, "forbidden.", "UNAUTHORIZED"),
        (404, 40410000, "order not found for fractional-1", "NOT_FOUND"),
        (422, 40010001, "qty is required", "40010001"),
    ],
)
def test_refusal_is_named_by_its_message(status, number, message, word):
    error = answered(status, {"message": message} | ({"code": number} if number else {}))
    assert type(error) is OrderRefused
    assert (error.code, error.text) == (word, message)


def test_path_that_does_not_exist_is_not_an_order_that_does_not_exist():
    error = answered(404, {"message": "endpoint not found."})
    assert (type(error), error.code) == (OrderRefused, "404")


@pytest.mark.parametrize("status", [400, 403, 404, 422])
@pytest.mark.parametrize("body", ["", "<html>Forbidden</html>", "[]", '"no"', "{}", '{"detail": "Not Found"}'])
def test_refusal_without_alpacas_own_form_proves_nothing(status, body):
    assert type(answered(status, body)) is OutcomeUnknown


@pytest.mark.parametrize("status", [301, 307, 408, 409, 418, 425, 499, 500, 502, 503, 504, 520])
@pytest.mark.parametrize("body", ["", "<html>", {"code": 50010000, "message": "internal server error occurred"}])
def test_status_that_proves_nothing_is_unknown(status, body):
    assert type(answered(status, body)) is OutcomeUnknown


@pytest.mark.parametrize("body", ["", "<html>", {"code": 42910000, "message": "rate limit exceeded"}])
def test_rate_limit_is_for_later(body):
    error = answered(429, body, {"Retry-After": "7"})
    assert (type(error), error.retry_after) == (TryLater, 7.0)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 1.0),
        ({"Retry-After": "3"}, 3.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT", "X-RateLimit-Reset": str(int(NOW) + 20)}, 20.0),
        ({"X-RateLimit-Reset": str(int(NOW) - 5)}, 0.1),
        ({"X-RateLimit-Reset": str(int(NOW) + 4000)}, 60.0),
        ({"Retry-After": "nan"}, 1.0),
    ],
)
def test_wait_is_read_from_the_headers_and_bounded(headers, seconds):
    assert seconds_to_wait(headers, now=NOW) == seconds


def max_retries(reason) -> failures.ConnectionError:
    return failures.ConnectionError(MaxRetryError(None, "/v2/orders", reason))


@pytest.mark.parametrize(
    "failure",
    [
        failures.ConnectTimeout("no route"),
        max_retries(NewConnectionError(None, "Connection refused")),
        failures.SSLError(MaxRetryError(None, "/", SSLError(ssl.SSLCertVerificationError("self-signed")))),
    ],
)
def test_connection_that_never_came_about_is_for_later(failure):
    assert type(classify_failure(failure, now=NOW)) is TryLater


@pytest.mark.parametrize(
    "failure",
    [
        failures.ReadTimeout("silent"),
        failures.ConnectionError("Connection aborted."),
        failures.SSLError(MaxRetryError(None, "/", SSLError(ssl.SSLError("bad record")))),
        failures.ChunkedEncodingError("broken"),
        failures.ContentDecodingError("bad gzip"),
        failures.JSONDecodeError("Expecting value", "<html>", 0),
        failures.ProxyError("tunnel failed"),
    ],
)
def test_failure_after_a_connection_is_unknown(failure):
    assert type(classify_failure(failure, now=NOW)) is OutcomeUnknown


def test_address_that_is_none_is_never_sent():
    assert type(classify_failure(failures.InvalidURL("http://"), now=NOW)) is NotSupported


def test_alpacas_exception_is_read_without_its_json_properties():
    response = type("Response", (), {"status_code": 504, "headers": {}})()
    error = classify_failure(APIError("<html>", failures.HTTPError(response=response)), now=NOW)
    assert (type(error), error.code) == (OutcomeUnknown, "504")
