"""A configuration file as read: plain values, and the line that each of them stands on."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import yaml

from tradingdesk.errors import InvalidInput
from tradingdesk.redaction.known import redact

Loc = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong at one place of the file; `loc` is the way to it by keys."""

    loc: Loc
    text: str
    line: int | None = None


class ConfigurationError(InvalidInput):
    """The file is not taken, and the configuration in force stays. `detail` has one line for each problem."""

    def __init__(self, path: str, problems: Iterable[Problem]):
        self.problems = sorted(problems, key=lambda problem: problem.line or 0)
        super().__init__("CONFIGURATION_INVALID", "\n".join(_lines(path, self.problems)))


@dataclass(frozen=True, slots=True)
class Document:
    """The file's sections. Numbers with a point are Decimals, and `${NAME}` stands as written."""

    path: str
    data: dict[str, Any]
    lines: dict[Loc, int] = field(repr=False)

    def line_of(self, loc: Loc) -> int | None:
        """The line of a place, or of the nearest place around it that is in the file."""
        while loc and loc not in self.lines:
            loc = loc[:-1]
        return self.lines.get(loc)

    def with_sections(self, others: dict[str, Any], *, path: str) -> Document:
        """The same with other values of some sections, which have no lines here."""
        lines = {loc: line for loc, line in self.lines.items() if not loc or loc[0] not in others}
        return Document(path, {**self.data, **others}, lines)

    def error(self, problems: Iterable[tuple[Loc, str]]) -> ConfigurationError:
        """The error that tells of problems here, each with its line."""
        return ConfigurationError(self.path, [Problem(loc, text, self.line_of(loc)) for loc, text in problems])


def read_document(path: os.PathLike[str] | str) -> Document:
    """Read a YAML file whose top level is sections.

    Raises:
        ConfigurationError: it cannot be read, is not YAML, gives a key twice or holds no sections.
    """
    name = os.fspath(path)
    try:
        with open(name, "rb") as file:
            return parse_document(name, file.read())
    except OSError as error:
        raise ConfigurationError(name, [Problem((), f"cannot be read: {error.strerror}")]) from error


def parse_document(name: str, content: bytes | str) -> Document:
    """Read YAML whose top level is sections; `name` is what errors call it.

    Raises:
        ConfigurationError: it is not YAML, gives a key twice or holds no sections.
    """
    try:
        node = yaml.compose(content, Loader=_Loader)
    except yaml.YAMLError as error:
        raise ConfigurationError(name, [_not_yaml(error)]) from error
    reader = _Reader()
    data = reader.value(node, ()) if node else None
    if not isinstance(data, dict):
        reader.problems.append(Problem((), f"found {shown(data)}, expected sections such as brokers: and risk:"))
    if reader.problems:
        raise ConfigurationError(name, reader.problems)
    return Document(name, data, reader.lines)


def shown(value: Any) -> str:
    """A value as an error message shows it: short, and without secrets."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = redact(repr(value) if isinstance(value, str) else str(value))
    return text if len(text) <= 60 else f"{text[:57]}..."


class _Loader(yaml.SafeLoader):
    """Only what a reader sees is there: no aliases, no tags."""

    def compose_node(self, parent: yaml.Node | None, index: Hashable) -> yaml.Node:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.composer.ComposerError(None, None, "aliases are not used here; write the value again", mark)
        return super().compose_node(parent, index)


class _Reader:
    """Turns nodes into values, noting lines and problems on the way."""

    def __init__(self):
        self.lines: dict[Loc, int] = {}
        self.problems: list[Problem] = []
        self._scalars = yaml.constructor.SafeConstructor()

    def value(self, node: yaml.Node, loc: Loc) -> Any:
        """The plain value of a node and of everything in it."""
        self.lines.setdefault(loc, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return {key: self.value(child, (*loc, key)) for key, child in self._items(node, loc)}
        if isinstance(node, yaml.SequenceNode):
            return [self.value(child, (*loc, index)) for index, child in enumerate(node.value)]
        return self._scalar(node, loc)

    def _items(self, node: yaml.MappingNode, loc: Loc) -> Iterator[tuple[str, yaml.Node]]:
        seen: set[str] = set()
        for key_node, child in node.value:
            line, key = key_node.start_mark.line + 1, key_node.value
            if not isinstance(key_node, yaml.ScalarNode):
                self.problems.append(Problem(loc, "a key is one word", line))
            elif key in seen:
                text = f"given twice; first on line {self.lines[(*loc, key)]}"
                self.problems.append(Problem((*loc, key), text, line))
            else:
                seen.add(key)
                self.lines[(*loc, key)] = line
                yield key, child

    def _scalar(self, node: yaml.ScalarNode, loc: Loc) -> Any:
        kind = node.tag.rpartition(":")[2]
        try:
            if kind == "float":
                return Decimal(node.value.replace("_", ""))
            if kind in ("null", "bool", "int"):
                return self._scalars.construct_object(node)
        except (ArithmeticError, ValueError):
            self.problems.append(Problem(loc, f"found {node.value}, expected a number", node.start_mark.line + 1))
        return node.value


def _not_yaml(error: yaml.YAMLError) -> Problem:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return Problem((), f"not YAML: {error.problem}", error.problem_mark.line + 1)
    return Problem((), f"not YAML: {' '.join(str(error).split())}")


def _lines(path: str, problems: Iterable[Problem]) -> Iterator[str]:
    for problem in problems:
        place = f"{path}:{problem.line}" if problem.line else path
        yield ": ".join(filter(None, (place, ".".join(map(str, problem.loc)), problem.text)))
