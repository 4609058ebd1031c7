"""YAML as plain values with the line of every key; what YAML itself cannot say is a mistake with its line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

Place = tuple[str, ...]
"""The keys that lead to a value; an item of a list counts as its index."""

TEXT_BELOW = "env"
"""Below this key scalars stay the text that was written: ``no``, ``1.10`` and ``0755`` are values of variables."""
DEEPEST = 32
MOST = 50_000
"""Values after aliases are followed: a file of a few lines can otherwise stand for billions."""


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
    mistakes: list[YamlMistake] = field(default_factory=list)
    values: int = 0

    def line(self, *place: str) -> int:
        """The line of a place, or of the nearest one around it."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)


def read(text: str) -> Document:
    """Read one YAML document; never raises: what is wrong is in ``mistakes``."""
    document = Document()
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        document.value = _value(root, (), document) if root is not None else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = f"this is not YAML: {error.problem or error.context}"
        document.mistakes.append(YamlMistake((), mark.line + 1 if mark else 1, what))
    except (yaml.YAMLError, RecursionError) as error:
        line = text[: getattr(error, "position", 0)].count("\n") + 1
        document.mistakes.append(YamlMistake((), line, "this is not YAML: a character or a depth it cannot have"))
    return document


def _value(node: yaml.Node, place: Place, document: Document) -> Any:
    line = node.start_mark.line + 1
    document.lines.setdefault(place, line)
    document.values += 1
    if len(place) > DEEPEST or document.values > MOST:
        what = f"nested deeper than {DEEPEST} levels" if len(place) > DEEPEST else f"more than {MOST:,} values"
        document.mistakes[:] = [YamlMistake(place[:4], line, what)]
        return None
    if isinstance(node, yaml.MappingNode):
        return _map(node, place, document)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*place, str(index)), document) for index, item in enumerate(node.value)]
    if TEXT_BELOW in place and node.tag != "tag:yaml.org,2002:null":
        return node.value
    return _scalar(node, place, document)


def _map(node: yaml.MappingNode, place: Place, document: Document) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else "?"
        if key in ("?", "<<"):
            document.mistakes.append(YamlMistake(place, line, "a key must be plain text; merge keys are not supported"))
            continue
        if key in found:
            first = document.lines[*place, key]
            document.mistakes.append(YamlMistake((*place, key), line, f"is given twice; the first is in line {first}"))
            continue
        document.lines[*place, key] = line
        found[key] = _value(value_node, (*place, key), document)
    return found


def _scalar(node: yaml.Node, place: Place, document: Document) -> Any:
    try:
        return yaml.constructor.SafeConstructor().construct_object(node)
    except (yaml.YAMLError, ValueError) as error:
        what = f"{node.value!r} cannot be read: {getattr(error, 'problem', None) or error}"
        document.mistakes.append(YamlMistake(place, node.start_mark.line + 1, what))
        return None
