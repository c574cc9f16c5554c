"""What a section of the configuration offers, and how its schema's findings are told to people.

The app that owns a section names its class in `settings.CONFIG_SECTIONS`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from decimal import Decimal
from typing import Annotated, Any, ClassVar

from django.conf import settings
from django.utils.module_loading import import_string
from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainValidator, ValidationError
from pydantic_core import PydanticCustomError

from tradingdesk.config.document import Document, Loc, shown

_EXPECTED = {"dict_type": "expected a mapping", "model_type": "expected a mapping", "list_type": "expected a list"}


class Strict(BaseModel):
    """A mapping whose keys are all known."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


def expected(what: str, accepts: Callable[[Any], bool]) -> PlainValidator:
    """Annotate a value that is taken as it is when `accepts` says so, and is else told to be `what`."""

    def check(found: Any) -> Any:
        if not accepts(found):
            raise not_expected(what)
        return found

    return PlainValidator(check, json_schema_input_type=Any)


def not_expected(what: str) -> PydanticCustomError:
    """The finding that a value is not `what`; the message shows the value beside it."""
    return PydanticCustomError("expected", "expected {what}", {"what": what})


def is_number(found: Any) -> bool:
    """Whether it is a finite number, written as one."""
    return isinstance(found, int | Decimal) and not isinstance(found, bool) and Decimal(found).is_finite()


def _decimal(found: Any) -> Any:
    return Decimal(found) if is_number(found) else found


Flag = Annotated[bool, expected("true or false", lambda found: isinstance(found, bool))]
Text = Annotated[str, expected("text", lambda found: isinstance(found, str) and bool(found.strip()))]
Share = Annotated[
    Decimal,
    expected("a number from 0 to 1", lambda found: is_number(found) and 0 <= found <= 1),
    BeforeValidator(_decimal),
]


class Section:
    """One top-level key of the file. A section that is not in the file is an empty one."""

    schema: ClassVar[type[BaseModel]]

    def problems(self, parsed: Any, document: Document) -> Iterable[tuple[Loc, str]]:
        """Say what the schema cannot see; places are counted from the section. It may read, never write."""
        return ()

    def in_force(self, recorded: Any) -> Any:
        """The values that are in force, from the recorded ones; None when there are none.

        A section whose tables can say otherwise than the record tells what they say.
        """
        return recorded

    def apply(self, parsed: Any, *, actor: str, reason: str) -> None:
        """Put the section in force, in the transaction at hand."""


def sections() -> dict[str, Section]:
    """Every section there is, in the order in which they are applied."""
    return {name: import_string(path)() for name, path in settings.CONFIG_SECTIONS.items()}


def parse(document: Document, *, only: Collection[str] | None = None) -> dict[str, BaseModel]:
    """Check the whole file, or `only` some sections of it, and give each section as its schema reads it.

    Raises:
        ConfigurationError: with everything that is wrong, each with its line.
    """
    known = sections()
    problems = [((name,), f"unknown key; known are {', '.join(known)}") for name in document.data if name not in known]
    parsed: dict[str, BaseModel] = {}
    for name, section in known.items():
        if only is not None and name not in only:
            continue
        found = document.data.get(name)
        try:
            parsed[name] = section.schema.model_validate({} if found is None else found)
        except ValidationError as error:
            problems += [((name, *loc), text) for loc, text in findings(error, section.schema)]
    for name, value in parsed.items():
        problems += [((name, *loc), text) for loc, text in known[name].problems(value, document)]
    if problems:
        raise document.error(problems)
    return parsed


def findings(error: ValidationError, schema: type[BaseModel]) -> Iterator[tuple[Loc, str]]:
    """Tell a schema's findings to people, each with its place."""
    for finding in error.errors(include_url=False):
        loc = tuple(step for step in finding["loc"] if step != "[key]")
        if finding["type"] == "missing":
            yield loc, "missing"
        elif finding["type"] == "extra_forbidden":
            yield loc, f"unknown key; known are {', '.join(_keys_at(schema, loc[:-1]))}"
        else:
            yield loc, f"found {shown(finding['input'])}, {_EXPECTED.get(finding['type'], finding['msg'])}"


def _keys_at(schema: type[BaseModel], loc: Loc) -> list[str]:
    """Name the keys that a place may have, from the schema's JSON form."""
    whole = schema.model_json_schema()
    here = whole
    for step in loc:
        here = here.get("properties", {}).get(step) or here.get("additionalProperties", {})
        here = whole["$defs"][here["$ref"].rpartition("/")[2]] if "$ref" in here else here
    return list(here.get("properties", {}))
