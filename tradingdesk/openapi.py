"""What the OpenAPI document says about every endpoint alike."""

from typing import Any

_ERROR = {
    "type": "object",
    "description": "Every error: a code for programs, words for people, the field to blame or an empty string.",
    "required": ["code", "detail", "field"],
    "properties": {name: {"type": "string"} for name in ("code", "detail", "field")},
}
_METHODS = {"get", "post", "put", "patch", "delete"}


def describe_errors(result: dict[str, Any], generator, request, public) -> dict[str, Any]:
    """Give every operation the one form that its errors have."""
    result["components"]["schemas"]["Error"] = _ERROR
    answer = {"$ref": "#/components/schemas/Error"}
    default = {"description": "The request was not carried out", "content": {"application/json": {"schema": answer}}}
    for path in result["paths"].values():
        for method in _METHODS & path.keys():
            path[method]["responses"].setdefault("default", default)
    return result
