"""Check answers against Alpaca's published OpenAPI documents, which lie beside the repository and are not part of it.

Slips of the documents are repaired when they are read, each named in `_repair`.
"""

from __future__ import annotations

import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
from requests import Response

SHARED = Path(os.environ.get("DESK_SHARED", Path(__file__).parents[3] / "shared"))
CONTRACTS = SHARED / "contracts" / "alpaca"
FILES = ("trading-api.json", "market-data-api.json")
MISSING = None if all((CONTRACTS / name).exists() for name in FILES) else f"no published contract in {CONTRACTS}"


class Contract:
    """One document. `checked` counts answers by operation, so a test can say that it checked something."""

    def __init__(self, name: str):
        self.document = _repair(json.loads((CONTRACTS / name).read_text(encoding="utf-8")))
        self.uri = f"urn:{name}"
        self.registry = Registry().with_resource(self.uri, Resource(self.document, DRAFT202012))
        self.paths = [(_pattern(path), path) for path in sorted(self.document["paths"], key=lambda p: p.count("{"))]

    def schema_of(self, method: str, path: str, status: int) -> dict[str, Any] | None:
        """The declared schema of an answer; None when it is declared without one. Fails for an undeclared answer."""
        template = next((t for pattern, t in self.paths if pattern.fullmatch(path)), None)
        assert template, f"{path} is not in the contract"
        responses = self.document["paths"][template][method.lower()]["responses"]
        assert str(status) in responses, f"{method} {path} is not declared to answer {status}"
        where = ["paths", template, method.lower(), "responses", str(status)]
        if "$ref" in responses[str(status)]:
            where = responses[str(status)]["$ref"].removeprefix("#/").split("/")
        if "application/json" not in self._at(where).get("content", {}):
            return None
        return {"$ref": f"{self.uri}#/{_pointer([*where, 'content', 'application/json', 'schema'])}"}

    def errors(self, schema: dict[str, Any], body: Any) -> list[str]:
        """What is wrong with a body."""
        validator = Draft202012Validator(schema, registry=self.registry, format_checker=FormatChecker())
        return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(body)]

    def _at(self, where: list[str]) -> dict[str, Any]:
        found = self.document
        for step in where:
            found = found[step]
        return found


class ContractCheck:
    """A hook for a requests session: every success must be as declared, every refusal in Alpaca's error form."""

    def __init__(self) -> None:
        self.checked: list[str] = []

    def __call__(self, response: Response, *args: Any, **kwargs: Any) -> None:
        path = urlsplit(response.url).path
        if response.status_code >= 400:
            self.check_refusal(response)
        else:
            self.check_success(response, path)
        assert {"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"} <= set(response.headers)
        self.checked.append(f"{response.request.method} {path} {response.status_code}")

    def check_success(self, response: Response, path: str) -> None:
        contract = contract_of(path)
        schema = contract.schema_of(response.request.method, path, response.status_code)
        if schema is None:
            assert response.content == b"", f"{path}: a body where none is declared"
            return
        errors = contract.errors(schema, response.json())
        assert not errors, f"{response.request.method} {path}: {errors[:5]}"

    def check_refusal(self, response: Response) -> None:
        body = response.json()
        assert isinstance(body["message"], str)
        assert body["message"]
        assert isinstance(body.get("code", 0), int)


@cache
def _contract(name: str) -> Contract:
    return Contract(name)


def contract_of(path: str) -> Contract:
    """The document that a path belongs to."""
    return _contract(FILES[1] if path.startswith("/v2/stocks") else FILES[0])


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(path)))


def _pointer(steps: list[str]) -> str:
    return "/".join(quote(step.replace("~", "~0").replace("/", "~1"), safe="~") for step in steps)


def _repair(document: dict[str, Any]) -> dict[str, Any]:
    """Activities: `date` is declared a date-time though plain dates are sent; and as neither kind of activity
    requires anything, every trade is also a valid non-trade, so "exactly one of" can never hold."""
    schemas = document["components"]["schemas"]
    if "NonTradeActivities" in schemas:
        del schemas["NonTradeActivities"]["properties"]["date"]["format"]
        listed = document["paths"]["/v2/account/activities/{activity_type}"]["get"]["responses"]["200"]
        items = listed["content"]["application/json"]["schema"]["items"]
        items["anyOf"] = items.pop("oneOf")
    return document
