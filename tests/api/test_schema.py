"""The OpenAPI document is sound, complete, and true of what the desk answers."""

import io
import json
from functools import cache

import jsonschema
import pytest
from django.core.management import call_command
from django.urls import resolve

from tests import factories
from tests.api.test_lists import make_rows
from tests.api.test_orders import LIMIT
from tests.api.test_permissions import MATRIX
from tests.orders.rebalancing.desk import lopsided_desk

pytestmark = pytest.mark.django_db


@cache
def document() -> dict:
    output = io.StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", "--format=openapi-json", stdout=output)
    return json.loads(output.getvalue())


def check(answer, method: str, path: str) -> None:
    """Hold an answer against what the document says about this operation and status."""
    assert answer.status_code != 500
    responses = document()["paths"][path][method.lower()]["responses"]
    described = responses.get(str(answer.status_code), responses["default"])
    if answer.status_code >= 400 and str(answer.status_code) not in responses:
        assert set(answer.json()) == {"code", "detail", "field"}
    _validate(answer.json(), described["content"]["application/json"]["schema"])


def test_document_is_valid_and_names_every_endpoint():
    described = {(method.upper(), path) for path, found in document()["paths"].items() for method in found}
    named = {
        (method, path.replace("known", "{client_order_id}").replace("/1/", "/{id}/")) for method, path, _ in MATRIX
    }
    assert named <= described
    for path in document()["paths"]:
        if path.startswith("/api/v1/"):
            resolve(path.replace("{client_order_id}", "x").replace("{id}", "1"))


@pytest.mark.parametrize(
    "path", [path for method, path, _ in MATRIX if method == "GET" and "known" not in path and "/1/" not in path]
)
def test_lists_answer_as_the_document_says(client_of, desk, path):
    make_rows(2)
    answer = client_of("viewer", "auditor").get(path)
    assert answer.status_code == 200
    check(answer, "GET", path)


def test_rebalancing_plans_answer_as_the_document_says(client_of):
    lopsided_desk(450)
    client, plans = client_of("risk officer"), "/api/v1/rebalancing/plans/"
    made = client.post(plans, {"reason": "too much at one broker"}, format="json")
    assert made.status_code == 201
    check(made, "POST", plans)
    check(client.get(plans), "GET", plans)
    check(client.get("/api/v1/rebalancing/preview/"), "GET", "/api/v1/rebalancing/preview/")
    check(client.get(f"{plans}{made.json()['id']}/"), "GET", f"{plans}{{id}}/")
    for word, status in (("approve", 409), ("stop", 409), ("reject", 200)):
        answer = client.post(f"{plans}{made.json()['id']}/{word}/", {"reason": "no"}, format="json")
        assert answer.status_code == status
        check(answer, "POST", f"{plans}{{id}}/{word}/")


def test_orders_answer_as_the_document_says(client_of, desk):
    client = client_of("trader")
    factories.OrderFactory(client_order_id="working")
    orders, detail = "/api/v1/orders/", "/api/v1/orders/{client_order_id}/"
    for body, status in ((LIMIT, 201), (LIMIT, 200), ({**LIMIT, "price": "1"}, 409), ({"symbol": 1}, 400)):
        answer = client.post(orders, body, format="json")
        assert answer.status_code == status
        check(answer, "POST", orders)
    answer = client.post(orders, {**LIMIT, "client_order_id": "big", "order_qty": "1001"}, format="json")
    assert answer.status_code == 422
    check(answer, "POST", orders)
    check(
        client.post(f"{orders}preview/", {**LIMIT, "client_order_id": "p"}, format="json"), "POST", f"{orders}preview/"
    )
    check(client.get(f"{orders}working/"), "GET", detail)
    check(client.patch(f"{orders}working/", {"price": "182.41"}, format="json"), "PATCH", detail)
    check(client.delete(f"{orders}{LIMIT['client_order_id']}/"), "DELETE", detail)


def test_baskets_answer_as_the_document_says(client_of, desk):
    client, path = client_of("trader"), "/api/v1/orders/basket/"
    denied = {**LIMIT, "client_order_id": "big", "order_qty": "1001"}
    for orders, status in (([LIMIT], 201), ([LIMIT], 200), ([LIMIT, denied], 409), ([denied], 422), ([], 400)):
        answer = client.post(path, {"orders": orders}, format="json")
        assert answer.status_code == status
        check(answer, "POST", path)


def test_bodies_that_the_desk_takes_are_bodies_that_the_document_describes(desk):
    described = document()["paths"]["/api/v1/orders/"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    _validate(LIMIT, described)
    with pytest.raises(jsonschema.ValidationError):
        _validate({**LIMIT, "side": "hold"}, described)


def test_halts_answer_as_the_document_says(client_of, desk):
    client = client_of("risk officer")
    made = client.post("/api/v1/risk/halts/", {"reason": "r"}, format="json")
    check(made, "POST", "/api/v1/risk/halts/")
    about, detail = f"/api/v1/risk/halts/{made.json()['id']}/", "/api/v1/risk/halts/{id}/"
    check(client.get(about), "GET", detail)
    check(client.delete(f"{about}?reason=r"), "DELETE", detail)
    flat = client.post("/api/v1/risk/flatten/", {"confirm": "FLATTEN", "reason": "r"}, format="json")
    assert flat.status_code == 202
    check(flat, "POST", "/api/v1/risk/flatten/")


def test_page_of_the_document_loads_nothing_from_elsewhere(client):
    page = client.get("/api/docs/").content.decode()
    assert "swagger" in page
    for foreign in ("//cdn", "https://", "http://"):
        assert foreign not in page


def _validate(value, schema: dict) -> None:
    whole = {**_as_json_schema(schema), "components": _as_json_schema(document()["components"])}
    jsonschema.Draft202012Validator(whole, format_checker=jsonschema.FormatChecker()).validate(value)


def _as_json_schema(node):
    """Translate `nullable`, and allow nothing in an answer that is not described."""
    if isinstance(node, list):
        return [_as_json_schema(item) for item in node]
    if not isinstance(node, dict):
        return node
    found = {name: _as_json_schema(value) for name, value in node.items() if name not in ("nullable", "readOnly")}
    if isinstance(node.get("properties"), dict) and "additionalProperties" not in node:
        found["additionalProperties"] = False
    return {"anyOf": [found, {"type": "null"}]} if node.get("nullable") is True else found
