"""Checks an answer against a JSON Schema: the keywords with which people describe the shape of an answer.

Any other keyword is reported when the schema is read, so that no part of a schema is silently ignored.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import re2

Schema = Mapping[str, Any] | bool
KINDS: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}
NOTES = frozenset({"$schema", "$id", "$comment", "title", "description", "default", "examples", "format"})
"""Keywords that demand nothing of a value."""


def matches(schema: Schema, text: str) -> bool:
    """Whether the text is JSON that the schema allows."""
    try:
        return _allows(schema, json.loads(text))
    except (ValueError, RecursionError):
        return False


def unsupported(schema: object) -> str:
    """What of a schema cannot be checked; empty where all of it can."""
    try:
        return next(_problems(schema), "")
    except RecursionError:
        return "is nested too deeply"


def _problems(schema: object) -> Iterator[str]:
    if not isinstance(schema, dict | bool):
        yield "is not a JSON Schema, which is an object"
    keywords = schema if isinstance(schema, dict) else {}
    for keyword, value in keywords.items():
        if keyword in NOTES:
            continue
        if keyword not in VALID:
            yield f"has the keyword {keyword[:40]!r}; supported are {', '.join(sorted(VALID))}"
        elif not VALID[keyword](value):
            yield f"has a value of {keyword} that JSON Schema does not allow"
        else:
            yield from (problem for inner in _inner(keyword, value) for problem in _problems(inner))


def _inner(keyword: str, value: Any) -> list[object]:
    """The schemas in the value of a keyword."""
    if keyword == "properties":
        return list(value.values())
    return list(value) if keyword in ("anyOf", "allOf", "oneOf") else [value] if keyword in SUBSCHEMA else []


def _allows(schema: Schema, value: Any) -> bool:
    if isinstance(schema, bool):
        return schema
    return all(CHECKS[keyword](schema[keyword], value, schema) for keyword in schema if keyword not in NOTES)


def _is_kind(kind: str, value: Any) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, KINDS[kind])


def _has_type(wanted: Any, value: Any, _: Any) -> bool:
    return any(_is_kind(kind, value) for kind in ([wanted] if isinstance(wanted, str) else wanted))


def _equal(first: Any, second: Any) -> bool:
    """Equality of JSON, in which 1 is 1.0 and true is not 1."""
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(_equal, first, second))
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(_equal(value, second[key]) for key, value in first.items())
    return isinstance(first, bool) == isinstance(second, bool) and bool(first == second)


def _additional(schema: Any, value: Any, parent: Any) -> bool:
    others = value.keys() - parent.get("properties", {}).keys() if isinstance(value, dict) else ()
    return all(_allows(schema, value[key]) for key in others)


def _properties(schemas: Any, value: Any, _: Any) -> bool:
    return not isinstance(value, dict) or all(_allows(schemas[key], value[key]) for key in schemas.keys() & value)


def _size(kind: type[str] | type[list[Any]], is_enough: Callable[[int, int], bool]) -> Callable[[Any, Any, Any], bool]:
    return lambda limit, value, _: not isinstance(value, kind) or is_enough(len(value), limit)


def _number(is_within: Callable[[float, float], bool]) -> Callable[[Any, Any, Any], bool]:
    return lambda limit, value, _: not _is_kind("number", value) or is_within(value, limit)


CHECKS: Mapping[str, Callable[[Any, Any, Any], bool]] = {
    "type": _has_type,
    "enum": lambda values, value, _: any(_equal(item, value) for item in values),
    "const": lambda wanted, value, _: _equal(wanted, value),
    "required": lambda keys, value, _: not isinstance(value, dict) or set(keys) <= value.keys(),
    "properties": _properties,
    "additionalProperties": _additional,
    "items": lambda schema, value, _: not isinstance(value, list) or all(_allows(schema, item) for item in value),
    "anyOf": lambda schemas, value, _: any(_allows(schema, value) for schema in schemas),
    "allOf": lambda schemas, value, _: all(_allows(schema, value) for schema in schemas),
    "oneOf": lambda schemas, value, _: sum(_allows(schema, value) for schema in schemas) == 1,
    "not": lambda schema, value, _: not _allows(schema, value),
    "pattern": lambda pattern, value, _: not isinstance(value, str) or re2.search(pattern, value) is not None,
    "minLength": _size(str, lambda length, limit: length >= limit),
    "maxLength": _size(str, lambda length, limit: length <= limit),
    "minItems": _size(list, lambda length, limit: length >= limit),
    "maxItems": _size(list, lambda length, limit: length <= limit),
    "minimum": _number(lambda value, limit: value >= limit),
    "maximum": _number(lambda value, limit: value <= limit),
    "exclusiveMinimum": _number(lambda value, limit: value > limit),
    "exclusiveMaximum": _number(lambda value, limit: value < limit),
}
QUIET = re2.Options()
QUIET.log_errors = False


def _is_pattern(value: Any) -> bool:
    try:
        return isinstance(value, str) and re2.compile(value, QUIET) is not None
    except re2.error:
        return False


def _is_count(value: Any) -> bool:
    return _is_kind("integer", value) and value >= 0


def _is_type(value: Any) -> bool:
    kinds = [value] if isinstance(value, str) else value
    return isinstance(kinds, list) and bool(kinds) and all(isinstance(kind, str) and kind in KINDS for kind in kinds)


SUBSCHEMA = ("additionalProperties", "items", "not")
VALID: Mapping[str, Callable[[Any], bool]] = {
    "type": _is_type,
    "enum": lambda value: isinstance(value, list),
    "const": lambda value: True,
    "required": lambda value: isinstance(value, list) and all(isinstance(key, str) for key in value),
    "properties": lambda value: isinstance(value, dict),
    "pattern": _is_pattern,
    **dict.fromkeys(SUBSCHEMA, lambda value: isinstance(value, dict | bool)),
    **dict.fromkeys(("anyOf", "allOf", "oneOf"), lambda value: isinstance(value, list) and bool(value)),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), _is_count),
    **dict.fromkeys(
        ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), lambda value: _is_kind("number", value)
    ),
}
