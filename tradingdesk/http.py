"""What every endpoint shares: exact JSON in, permissions by name, one form for every error out."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig, ValidationError
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, JsonResponse
from django.views import defaults
from rest_framework import exceptions
from rest_framework.parsers import BaseParser
from rest_framework.permissions import BasePermission
from rest_framework.response import Response

from tradingdesk.errors import DeskError, InvalidInput

logger = logging.getLogger(__name__)

API_PREFIX = "/api/"


class TooLarge(DeskError):
    """The body is larger than DATA_UPLOAD_MAX_MEMORY_SIZE."""

    http_status = 413


class ExactJSONParser(BaseParser):
    """Read JSON as it was written: numbers with a point become Decimal, never floats.

    Refuses what would be guessed at or could not be stored: NaN and Infinity, a key given twice,
    text that is not UTF-8 or holds a NUL. The size is checked before anything is parsed.
    """

    media_type = "application/json"

    def parse(self, stream, media_type=None, parser_context=None) -> Any:
        try:
            body = json.loads(
                _read(stream).decode("utf-8"),
                parse_float=Decimal,
                parse_constant=_refuse_constant,
                object_pairs_hook=_without_repetition,
            )
        except (ValueError, RecursionError, ArithmeticError) as error:
            raise InvalidInput("MALFORMED_JSON", f"the body is not JSON: {error}") from error
        _check_text(body)
        return body


def json_object(request) -> Mapping[str, Any]:
    """The request's body, which must be a JSON object."""
    if not isinstance(request.data, Mapping):
        raise InvalidInput("NOT_AN_OBJECT", "the body must be a JSON object: {…}")
    return request.data


def text_body(request, **defaults: str) -> dict[str, str]:
    """The request's body, a JSON object of nothing but these texts; what it leaves out is as given here.

    Raises:
        InvalidInput: no object, a field of another name, or a value that is no text.
    """
    body = json_object(request)
    for name, value in body.items():
        if name not in defaults:
            raise InvalidInput("UNKNOWN_FIELD", f"{name[:40]}: expected {', '.join(defaults)}", name[:40])
        if not isinstance(value, str):
            raise InvalidInput("INVALID_TYPE", f"{name}: expected text, found {type(value).__name__}", name)
    return {**defaults, **body}


class DeskPermissions(BasePermission):
    """Ask for the permission that the view's `needs` names for the method; nothing is open by omission.

    `needs` maps methods to `app.codename`; HEAD asks for what GET does, OPTIONS for a known user only.
    """

    def has_permission(self, request, view) -> bool:
        if not request.user.is_authenticated:
            return False
        method = "GET" if request.method == "HEAD" else request.method
        if method == "OPTIONS":
            return True
        if method not in view.needs:
            raise exceptions.MethodNotAllowed(request.method)
        return request.user.has_perm(view.needs[method])


@dataclass(frozen=True)
class _Refusal:
    status: int
    code: str
    detail: str
    field: str = ""
    headers: Mapping[str, str] | None = None


def exception_handler(exc: Exception, context: Mapping[str, Any]) -> Response | None:
    """Answer every refusal in the desk's form; None for a bug, which `server_error` answers and the log tells of."""
    refusal = _refusal_of(exc)
    if refusal is None:
        return None
    if refusal.status >= 500:
        logger.exception("%s %s", context["request"].method, context["request"].path)
    body = {"code": refusal.code, "detail": refusal.detail, "field": refusal.field}
    return Response(body, status=refusal.status, headers=refusal.headers)


def _refusal_of(exc: Exception) -> _Refusal | None:
    match exc:
        case DeskError():
            return _Refusal(exc.http_status, exc.code, exc.detail, exc.field)
        case Http404():
            return _Refusal(404, "NOT_FOUND", "there is no such thing")
        case PermissionDenied():
            return _Refusal(403, "PERMISSION_DENIED", "this user may not do that")
        case RequestDataTooBig():
            return _Refusal(413, "BODY_TOO_LARGE", f"max={settings.DATA_UPLOAD_MAX_MEMORY_SIZE} bytes")
        case ValidationError():
            name = next(iter(getattr(exc, "error_dict", {})), "")
            return _Refusal(400, "INVALID_VALUE", "; ".join(exc.messages), name)
        case exceptions.ValidationError():
            return _invalid(exc)
        case exceptions.APIException():
            return _Refusal(exc.status_code, _code_of(exc), str(exc.detail), headers=_headers_of(exc))
        case OperationalError() | InterfaceError():
            detail = "the database did not answer; the same request may be sent again"
            return _Refusal(503, "DATABASE_UNAVAILABLE", detail, headers={"Retry-After": "1"})
    return None


def _invalid(exc: exceptions.ValidationError) -> _Refusal:
    """Name the first wrong field."""
    if isinstance(exc.detail, dict):
        name, found = next(iter(exc.detail.items()))
    else:
        name, found = "", exc.detail
    first = found[0] if isinstance(found, list) else found
    return _Refusal(400, "INVALID_VALUE", f"{name}: {first}" if name else str(first), name)


def _code_of(exc: exceptions.APIException) -> str:
    return (exc.get_codes() if isinstance(exc.get_codes(), str) else exc.default_code).upper()


def _headers_of(exc: exceptions.APIException) -> dict[str, str]:
    headers = {}
    if getattr(exc, "auth_header", None):
        headers["WWW-Authenticate"] = exc.auth_header
    if getattr(exc, "wait", None) is not None:
        headers["Retry-After"] = f"{exc.wait:.0f}"
    return headers


def _read(stream) -> bytes:
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    body = stream.read(limit + 1)
    if len(body) > limit:
        raise TooLarge("BODY_TOO_LARGE", f"the body is larger than {limit} bytes")
    return body


def _refuse_constant(name: str):
    raise ValueError(f"{name} is not a JSON number")


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} is given twice")
    return found


def _check_text(value: Any, name: str = "") -> None:
    """Refuse text that no database stores: a NUL, or half of a surrogate pair."""
    if isinstance(value, str) and ("\0" in value or (not value.isascii() and not _is_utf8(value))):
        raise InvalidInput("INVALID_TEXT", f"{name or 'body'}: holds a character that cannot be stored", name)
    if isinstance(value, Mapping):
        for key, item in value.items():
            _check_text(key, "")
            _check_text(item, key)
    elif isinstance(value, list):
        for item in value:
            _check_text(item, name)


def _is_utf8(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def bad_request(request: HttpRequest, exception: Exception):
    """Answer 400, in the desk's form below /api/."""
    return _page(request, 400, "BAD_REQUEST", "the request is malformed") or defaults.bad_request(request, exception)


def permission_denied(request: HttpRequest, exception: Exception):
    """Answer 403, in the desk's form below /api/."""
    return _page(request, 403, "PERMISSION_DENIED", "no") or defaults.permission_denied(request, exception)


def page_not_found(request: HttpRequest, exception: Exception | None = None, **where):
    """Answer 404, in the desk's form below /api/."""
    return _page(request, 404, "NOT_FOUND", _hint(request)) or defaults.page_not_found(request, exception)


def server_error(request: HttpRequest):
    """Answer 500 without a word about the cause: that is in the log, under the request's id."""
    detail = f"the desk failed; its log has the cause under request {getattr(request, 'request_id', '')}"
    return _page(request, 500, "INTERNAL_ERROR", detail) or defaults.server_error(request)


def _hint(request: HttpRequest) -> str:
    return f"no endpoint {request.path!r}" + ("" if request.path.endswith("/") else "; paths end with '/'")


def _page(request: HttpRequest, status: int, code: str, detail: str) -> JsonResponse | None:
    if not request.path.startswith(API_PREFIX):
        return None
    return JsonResponse({"code": code, "detail": detail, "field": ""}, status=status)
