"""Reads YAML into plain values with the line of every key, and collects what is wrong with the YAML itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from core.agents_file.copied_text import copied_character
from core.agents_file.fields import truncate
from core.agents_file.numbers import check_text, read_number

KeyPath = tuple[str, ...]
"""The keys that lead to a value; an item of a list has its index as key."""

TEXT_KEYS = frozenset({"env", "cpu", "memory", "protocols"})
"""Keys of an agent whose scalars stay the text in the file: a variable may be ``no``, ``1.10`` or ``0755``, and
``cpu: 1`` needs no quotes."""
MAX_DEPTH_LEVELS = 32
MAX_VALUES = 50_000
"""Counted after aliases are followed, which can turn a few lines into billions of values."""
STANDARD = "tag:yaml.org,2002:"
SCALAR_TAGS = ("bool", "int", "float", "null", "str", "timestamp", "value", "merge")
"""Dates stay text, because Foundry gets JSON, which has no dates."""


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing that is wrong in agents.yaml: where it is, and what to write instead."""

    path: KeyPath
    line: int
    message: str

    def __str__(self) -> str:
        where = self._where
        return _visible(f"{where}{', ' if where else ''}line {self.line}: {self.message}")

    def text_for(self, file: str) -> str:
        """The issue, beginning with file and line as editors and terminals open them."""
        where = self._where
        return f"{file}:{self.line}: {_visible(f'{where}: ' if where else '')}{_visible(self.message)}"

    @property
    def _where(self) -> str:
        return ".".join(truncate(key) for key in self.path)


def _visible(text: str) -> str:
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


@dataclass(slots=True)
class Document:
    """The value of a file, the lines of its keys and what is wrong with it."""

    value: Any = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    scalars: dict[KeyPath, str] = field(default_factory=dict)
    """The text of every scalar, for messages that repeat it."""
    issues: list[Issue] = field(default_factory=list)
    value_count: int = 0

    def line(self, *path: str) -> int:
        """The line of a path, or of the closest path above it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


class AgentsFileError(Exception):
    """agents.yaml is wrong; ``issues`` lists everything that is."""

    def __init__(self, *issues: Issue) -> None:
        self.issues = issues
        super().__init__("\n".join(f"agents.yaml: {issue}" for issue in issues))

    def text_for(self, file: str) -> str:
        """A line for each issue; it begins with file and line as editors and terminals open them."""
        return "\n".join(issue.text_for(file) for issue in self.issues)


class _Loader(yaml.SafeLoader):
    """Stops at deep brackets: PyYAML needs quadratic time for them, 0.4 s for 2 KB.

    PyYAML's C loader is faster, but crashes the process on such a file (PyYAML 6.0.3).
    """

    def fetch_flow_collection_start(self, token: type[yaml.Token]) -> None:
        """Enter a bracket."""
        if self.flow_level > 2 * MAX_DEPTH_LEVELS:
            raise _too_deep((), self.line + 1)
        super().fetch_flow_collection_start(token)


def _too_deep(path: KeyPath, line: int) -> AgentsFileError:
    return AgentsFileError(Issue(path, line, f"nested deeper than {MAX_DEPTH_LEVELS} levels"))


def read(text: str) -> Document:
    """Read one YAML document; raises AgentsFileError only if reading must stop, other issues are in the document."""
    document = Document()
    try:
        root = yaml.compose(text, Loader=_Loader)
        document.value = _value(root, (), document) if root is not None else None
    except (yaml.YAMLError, RecursionError) as error:
        raise AgentsFileError(_issue_of(error, text)) from error
    return document


def _issue_of(error: Exception, text: str) -> Issue:
    line, problem = 1, "it is nested too deeply"
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        line = error.problem_mark.line + 1
        problem = ", ".join(part for part in (error.context, error.problem) if part)
        if error.problem and r"'\t'" in error.problem:
            problem = "a tab cannot stand here; use spaces"
        elif found := copied_character("".join(text.split("\n")[line - 1 : line])):
            problem = f"{problem}; the line has {found}"
    elif isinstance(error, yaml.reader.ReaderError):
        line = text[: error.position].count("\n") + 1
        problem = f"the character U+{error.character:04X} is not allowed"
    return Issue((), line, f"this is not YAML: {problem}")


def _value(node: yaml.Node, path: KeyPath, document: Document) -> Any:
    line = node.start_mark.line + 1
    document.lines.setdefault(path, line)
    document.value_count += 1
    if len(path) > MAX_DEPTH_LEVELS:
        raise _too_deep(path[:4], line)
    if document.value_count > MAX_VALUES:
        raise AgentsFileError(Issue(path[:4], line, f"more than {MAX_VALUES:,} values"))
    tag = node.tag.removeprefix(STANDARD)
    if isinstance(node, yaml.MappingNode) and tag == "map":
        return _map(node, path, document)
    if isinstance(node, yaml.SequenceNode) and tag == "seq":
        return [_value(item, (*path, str(index)), document) for index, item in enumerate(node.value)]
    if isinstance(node, yaml.ScalarNode) and tag in SCALAR_TAGS:
        return _scalar(node, tag, path, document)
    message = f"the tag {node.tag.replace(STANDARD, '!!')} is not supported; write the value without it"
    document.issues.append(Issue(path, line, message))
    return None


def _map(node: yaml.MappingNode, path: KeyPath, document: Document) -> Mapping[str, Any]:
    values: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode) or _has_surrogate(key_node.value):
            document.issues.append(Issue(path, line, "a key must be plain text"))
            continue
        key = str(key_node.value)
        if key_node.tag == f"{STANDARD}merge":
            message = "merge keys are not supported; put shared keys under `defaults:`"
            document.issues.append(Issue((*path, key), line, message))
        elif key in values:
            message = f"duplicate key; the first is in line {document.lines[*path, key]}"
            document.issues.append(Issue((*path, key), line, message))
        else:
            document.lines[*path, key] = line
            values[key] = _value(value_node, (*path, key), document)
    return values


def _scalar(node: yaml.ScalarNode, tag: str, path: KeyPath, document: Document) -> Any:
    document.scalars[path] = node.value
    try:
        return _typed(node, "text" if tag != "null" and _stays_text(path) else tag)
    except ValueError as error:
        document.issues.append(Issue(path, node.start_mark.line + 1, str(error)))
        return None


def _typed(node: yaml.ScalarNode, tag: str) -> Any:
    """The value of a scalar by its tag; raises ValueError with what to write instead."""
    if _has_surrogate(node.value):
        raise ValueError("contains half a character; write the whole character")
    if tag in ("int", "float"):
        return read_number(tag, node.value)
    if tag in ("bool", "null"):
        return _boolean_or_null(node, tag)
    if tag == "str" and node.style is None:
        check_text(node.value)
    return node.value


def _boolean_or_null(node: yaml.ScalarNode, tag: str) -> bool | None:
    try:
        value: bool | None = yaml.constructor.SafeConstructor().construct_object(node)
    except (yaml.YAMLError, LookupError) as error:
        raise ValueError(f"is not a valid {tag}; put it in quotes if it is text") from error
    return value


def _has_surrogate(text: str) -> bool:
    """Whether a lone surrogate, which an escape can produce, is in the text: it cannot be stored or printed."""
    return any("\ud800" <= char <= "\udfff" for char in text)


def _stays_text(path: KeyPath) -> bool:
    keys = path[1:] if path[:1] == ("defaults",) else path[2:]
    keys = keys[2:] if keys[:1] == ("stages",) else keys
    return bool(TEXT_KEYS.intersection(keys[:1]))
