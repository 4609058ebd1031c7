"""Checks an answer against a JSON Schema; a library does it, without backtracking and without the network.

See docs/decisions/0065-check-answers-with-jsonschema-rs.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsonschema_rs import ValidationError, Validator

LATEST = "https://json-schema.org/draft/2020-12/schema"
STRICT = {"$schema": LATEST, "$dynamicAnchor": "meta", "$ref": LATEST, "unevaluatedProperties": False}
"""The schema of schemas in which every keyword is known: a misspelled one would demand nothing of an answer."""
MAX_DEPTH = 100
"""How many levels of values a row and an answer may have: the library uses the stack of the process."""
MAX_QUOTED_CHARS = 80


def matches(schema: Mapping[str, Any] | bool, text: str) -> bool:
    """Whether the text is JSON that the schema allows."""
    try:
        value = json.loads(text, parse_constant=_no_constant)
        return not is_too_deep(value) and _validator(schema).is_valid(value)
    except (ValueError, RecursionError):
        return False


def schema_problem(schema: Any) -> str:
    """What is wrong with a schema that is not too deep; empty where answers can be checked against it."""
    # Imported where a dataset has a schema: the library takes 40 ms of a cold start.
    from jsonschema_rs import ValidationError

    try:
        is_latest = not isinstance(schema, dict) or schema.get("$schema", LATEST) == LATEST
        errors = [*_strict().iter_errors(schema)] if is_latest else []
        if errors:  # what is wrong with a schema makes every schema around it wrong too
            return _description(max(errors, key=lambda error: len(error.instance_path)))
        _validator(schema)
    except ValidationError as error:
        return _description(error)
    return ""


def _description(error: ValidationError) -> str:
    from jsonschema_rs import ValidationErrorKind as Kind

    place = ".".join(map(str, error.instance_path))[:MAX_QUOTED_CHARS]
    match error.kind:
        case Kind.UnevaluatedProperties(unexpected=names):
            return f"has the keyword {names[0][:MAX_QUOTED_CHARS]!r}, which JSON Schema 2020-12 does not have"
        case Kind.Referencing():
            return "has a $ref that leads to nothing in it, or an unknown $schema; nothing is fetched"
        case Kind.Format():
            return f"has an expression at {place!r} that is wrong, or has look-around or a back-reference"
    return f"has a value at {place!r} that JSON Schema does not allow" if place else "is not an object such as {}"


def is_too_deep(value: Any) -> bool:
    """Whether values within values of JSON have more than ``MAX_DEPTH`` levels."""
    level = [value]
    for _ in range(MAX_DEPTH):
        groups = [item.values() if isinstance(item, dict) else item for item in level if isinstance(item, dict | list)]
        level = [item for group in groups for item in group]
    return bool(level)


def _validator(schema: Any) -> Validator:
    from jsonschema_rs import RegexOptions, validator_for

    return validator_for(schema, pattern_options=RegexOptions(), validate_formats=False, offline=True)


@cache
def _strict() -> Validator:
    return _validator(STRICT)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
