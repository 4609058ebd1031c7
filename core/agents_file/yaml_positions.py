"""YAML as plain values with the line of every key; what YAML itself cannot say is a mistake with its line."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

Place = tuple[str, ...]
"""The keys that lead to a value; an item of a list counts as its index."""

AS_WRITTEN = frozenset({"env", "cpu", "memory", "protocols"})
"""Below these keys of an agent scalars stay the text that was written: ``no``, ``1.10`` and ``0755`` are values of
variables, and ``cpu: 1`` needs no quotes."""
DEEPEST = 32
MOST = 50_000
"""Values after aliases are followed: a file of a few lines can otherwise stand for billions."""
STANDARD = "tag:yaml.org,2002:"
TYPED = ("bool", "int", "float", "null")
TEXT = ("str", "timestamp", "value", "merge")
"""Dates stay text: what is passed through to Foundry is JSON, which knows none."""


@dataclass(frozen=True, slots=True)
class YamlMistake:
    """Something that cannot be read, or is said twice."""

    place: Place
    line: int
    what: str


@dataclass(slots=True)
class Document:
    """A file's value, its lines and what is wrong with it."""

    value: Any = None
    lines: dict[Place, int] = field(default_factory=dict)
    written: dict[Place, str] = field(default_factory=dict)
    """The text of every scalar, for mistakes that say what to write instead."""
    mistakes: list[YamlMistake] = field(default_factory=list)
    values: int = 0
    readable: bool = True

    def line(self, *place: str) -> int:
        """The line of a place, or of the nearest one around it."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)


class _EndlessError(Exception):
    """Reading on would not end; the mistake is the argument."""


class _Loader(yaml.SafeLoader):
    """Stops in brackets deeper than any agents.yaml has: PyYAML's time is their square, 0.4 s for 2 KB of them.

    Its C loader is quicker, and ends the whole process on such a file (PyYAML 6.0.3).
    """

    def fetch_flow_collection_start(self, token: type[yaml.Token]) -> None:
        """One level down."""
        if self.flow_level > 2 * DEEPEST:
            raise _too_deep((), self.line + 1)
        super().fetch_flow_collection_start(token)


def _too_deep(place: Place, line: int) -> _EndlessError:
    return _EndlessError(place, line, f"nested deeper than {DEEPEST} levels")


def read(text: str) -> Document:
    """Read one YAML document; never raises: what is wrong is in ``mistakes``."""
    document = Document()
    try:
        root = yaml.compose(text, Loader=_Loader)
        document.value = _value(root, (), document) if root is not None else None
    except (yaml.YAMLError, RecursionError, _EndlessError) as error:
        document.mistakes.append(_unreadable(error, text))
        document.readable = False
    return document


def _unreadable(error: Exception, text: str) -> YamlMistake:
    if isinstance(error, _EndlessError):
        return YamlMistake(*error.args)
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return YamlMistake((), error.problem_mark.line + 1, _problem(error))
    if isinstance(error, yaml.reader.ReaderError):
        line = text[: error.position].count("\n") + 1
        return YamlMistake((), line, f"this is not YAML: the character U+{error.character:04X} is not allowed")
    return YamlMistake((), 1, "this is not YAML: it is nested too deeply")


def _problem(error: yaml.MarkedYAMLError) -> str:
    if error.problem and r"'\t'" in error.problem:
        return "this is not YAML: a tab cannot stand here; use spaces"
    return f"this is not YAML: {', '.join(part for part in (error.context, error.problem) if part)}"


def _value(node: yaml.Node, place: Place, document: Document) -> Any:
    line = node.start_mark.line + 1
    document.lines.setdefault(place, line)
    document.values += 1
    if len(place) > DEEPEST:
        raise _too_deep(place[:4], line)
    if document.values > MOST:
        raise _EndlessError(place[:4], line, f"more than {MOST:,} values")
    kind = node.tag.removeprefix(STANDARD)
    if isinstance(node, yaml.MappingNode) and kind == "map":
        return _map(node, place, document)
    if isinstance(node, yaml.SequenceNode) and kind == "seq":
        return [_value(item, (*place, str(index)), document) for index, item in enumerate(node.value)]
    if isinstance(node, yaml.ScalarNode) and kind in (*TYPED, *TEXT):
        return _scalar(node, kind, place, document)
    what = f"the tag {node.tag.replace(STANDARD, '!!')} is not supported; write the value without it"
    document.mistakes.append(YamlMistake(place, line, what))
    return None


def _map(node: yaml.MappingNode, place: Place, document: Document) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode) or _is_broken(key_node.value):
            document.mistakes.append(YamlMistake(place, line, "a key must be plain text"))
            continue
        key = str(key_node.value)
        if key_node.tag == f"{STANDARD}merge":
            what = "merge keys are not supported; write below `defaults:` what agents share"
            document.mistakes.append(YamlMistake((*place, key), line, what))
            continue
        if key in found:
            first = document.lines[*place, key]
            document.mistakes.append(YamlMistake((*place, key), line, f"is given twice; the first is in line {first}"))
            continue
        document.lines[*place, key] = line
        found[key] = _value(value_node, (*place, key), document)
    return found


def _scalar(node: yaml.ScalarNode, kind: str, place: Place, document: Document) -> Any:
    document.written[place] = node.value
    problem = "half a character; write the character itself" if _is_broken(node.value) else None
    value: Any = node.value
    if kind in TYPED and (kind == "null" or not _stays_text(place)):
        try:
            value = yaml.constructor.SafeConstructor().construct_object(node)
        except (yaml.YAMLError, ValueError, LookupError):
            problem = "cannot be read as what it looks like; put it in quotes if it is text"
        if isinstance(value, float) and not math.isfinite(value):
            problem = "is no number that JSON knows; put it in quotes if it is text"
    if problem is None:
        return value
    document.mistakes.append(YamlMistake(place, node.start_mark.line + 1, problem))
    return None


def _is_broken(text: str) -> bool:
    """A lone surrogate, from an escape: nothing could store or print it."""
    return any("\ud800" <= character <= "\udfff" for character in text)


def _stays_text(place: Place) -> bool:
    key = place[1:2] if place[:1] == ("defaults",) else place[2:3]
    return bool(AS_WRITTEN.intersection(key))
