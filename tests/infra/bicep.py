"""Parses Bicep with tree-sitter into declarations and literal values.

This is not a compiler: names are not resolved and expressions are not evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tree_sitter_bicep
from tree_sitter import Language, Node, Parser

PARSER = Parser(Language(tree_sitter_bicep.language()))


@dataclass(frozen=True)
class Code:
    """The text of an expression that is not a literal."""

    text: str


@dataclass(frozen=True)
class Choice:
    """A conditional expression with its two values."""

    condition: str
    values: tuple[Any, Any]


@dataclass(frozen=True)
class Each:
    """A ``for`` expression: its source and the value of each item."""

    source: Any
    body: Any


@dataclass
class Declared:
    """A declaration of a resource or a module."""

    symbol: str
    reference: str
    """A type with its API version, such as ``Microsoft.Web/sites@2024-11-01``, or the path of a module."""
    body: dict[str, Any]
    existing: bool = False
    condition: str = ""
    each: Any = None

    @property
    def type(self) -> str:
        """The resource type, without its API version."""
        return self.reference.partition("@")[0]


@dataclass
class Parameter:
    """A parameter; ``default`` is None if it has none."""

    type: str
    default: Any
    decorators: Mapping[str, Any]

    @property
    def required(self) -> bool:
        return self.default is None


@dataclass
class File:
    """The declarations of a file."""

    path: Path
    text: str
    broken: bool
    parameters: dict[str, Parameter] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)
    resources: dict[str, Declared] = field(default_factory=dict)
    modules: dict[str, Declared] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)

    def of_type(self, type_: str) -> list[Declared]:
        """The new resources of a type."""
        return [resource for resource in self.resources.values() if resource.type == type_ and not resource.existing]

    def identifiers(self) -> set[str]:
        """Every name used in an expression."""
        return {_text(node) for node in _walk(PARSER.parse(self.text.encode()).root_node) if _is_use(node)}


def read(path: Path) -> File:
    """Read one file."""
    text = path.read_text()
    root = PARSER.parse(text.encode()).root_node
    file = File(path, text, root.has_error)
    decorators: dict[str, Any] = {}
    for node in root.named_children:
        if node.type == "decorators":
            decorators = dict(_decorator(child) for child in node.named_children)
            continue
        _declare(node, file, decorators)
        decorators = {}
    return file


def _declare(node: Node, file: File, decorators: dict[str, Any]) -> None:
    parts = node.named_children
    if node.type == "parameter_declaration":
        default = value(parts[2]) if len(parts) > 2 else None
        file.parameters[_text(parts[0])] = Parameter(_text(parts[1]), default, decorators)
    elif node.type == "variable_declaration":
        file.variables[_text(parts[0])] = value(parts[1])
    elif node.type == "output_declaration":
        file.outputs[_text(parts[0])] = value(parts[-1])
    elif node.type in ("resource_declaration", "module_declaration"):
        declared = _declared(node)
        (file.resources if node.type.startswith("resource") else file.modules)[declared.symbol] = declared


def _declared(node: Node) -> Declared:
    parts = node.named_children
    existing = any(child.type == "existing" for child in node.children)
    body, condition, each = parts[-1], "", None
    if body.type == "for_statement":
        each = value(body).source
        body = body.child_by_field_name("body") or body
    if body.type == "if_statement":
        condition = _text(body.named_children[0])[1:-1]
        body = body.named_children[-1]
    return Declared(_text(parts[0]), str(value(parts[1])), value(body), existing, condition, each)


def value(node: Node) -> Any:
    """A literal value, or Code, Choice or Each for an expression."""
    return LITERALS.get(node.type, _expression)(node)


def _expression(node: Node) -> Any:
    if node.type == "ternary_expression":
        condition, first, second = (
            node.child_by_field_name(name) for name in ("condition", "consequence", "alternative")
        )
        assert condition is not None and first is not None and second is not None  # noqa: PT018 - guaranteed by the grammar
        return Choice(_text(condition), (value(first), value(second)))
    if node.type == "for_statement":
        body = node.child_by_field_name("body")
        assert body is not None
        source = [child for child in node.named_children if child.id != body.id][-1]
        return Each(value(source), value(body))
    return Code(_text(node))


def _object(node: Node) -> dict[str, Any]:
    return dict(_property(child) for child in node.named_children if child.type == "object_property")


def _array(node: Node) -> list[Any]:
    return [value(child) for child in node.named_children if child.type != "comment"]


def _property(node: Node) -> tuple[str, Any]:
    key, content = (child for child in node.named_children if child.type != "comment")
    name = value(key) if key.type == "string" else _text(key)
    return (name.text if isinstance(name, Code) else str(name)), value(content)


def _string(node: Node) -> str | Code:
    if any(child.type == "interpolation" for child in node.children):
        return Code(_text(node))
    parts = (child for child in node.children if child.is_named)
    return "".join(_text(part)[-1] if part.type == "escape_sequence" else _text(part) for part in parts)


def _decorator(node: Node) -> tuple[str, Any]:
    call = node.named_children[0]
    name, arguments = call.named_children
    values = [value(argument) for argument in arguments.named_children]
    return _text(name), values[0] if values else True


def _text(node: Node) -> str:
    return (node.text or b"").decode()


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from _walk(child)


def _is_use(node: Node) -> bool:
    """Whether a node is a name in an expression: not a property key and not the name of a declaration."""
    parent = node.parent
    if node.type != "identifier" or parent is None:
        return False
    declares = parent.type.endswith("_declaration") and parent.named_children[0].id == node.id
    is_key = parent.type == "object_property" and parent.named_children[0].id == node.id
    return not declares and not is_key


LITERALS: Mapping[str, Callable[[Node], Any]] = {
    "object": _object,
    "array": _array,
    "string": _string,
    "number": lambda node: int(_text(node)),
    "boolean": lambda node: _text(node) == "true",
    "null": lambda _: None,
}
