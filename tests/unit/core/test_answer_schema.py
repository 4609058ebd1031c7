"""An answer is checked against the keywords of JSON Schema that describe its shape; any other keyword is reported."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.answer_schema import matches, unsupported

PERSON = {
    "type": "object",
    "title": "a person",
    "required": ["name"],
    "properties": {"name": {"type": "string", "minLength": 1}, "age": {"type": "integer", "minimum": 0}},
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        (PERSON, {"name": "Ann"}, True),
        (PERSON, {"name": "Ann", "age": 3.0}, True),
        (PERSON, {"name": "Ann", "age": 3.5}, False),
        (PERSON, {"name": "Ann", "age": -1}, False),
        (PERSON, {"name": "", "age": 1}, False),
        (PERSON, {"age": 1}, False),
        (PERSON, {"name": "Ann", "more": 1}, False),
        (PERSON, [], False),
        ({"required": ["a"], "properties": {"a": False}, "additionalProperties": False}, 1, True),
        (True, 1, True),
        (False, 1, False),
        ({"type": ["string", "null"]}, None, True),
        ({"type": "integer"}, True, False),
        ({"type": "boolean"}, True, True),
        ({"type": "number"}, 1, True),
        ({"enum": [1, "a", [True]]}, 1.0, True),
        ({"enum": [1, "a", [True]]}, True, False),
        ({"enum": [1, "a", [True]]}, [True], True),
        ({"enum": [1, "a", [True]]}, [1], False),
        ({"const": {"a": [1]}}, {"a": [1.0]}, True),
        ({"const": {"a": [1]}}, {"a": [1, 2]}, False),
        ({"const": {"a": [1]}}, {"b": 1}, False),
        ({"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 2}, ["a"], True),
        ({"items": {"type": "string"}, "minItems": 1, "maxItems": 2}, [1], False),
        ({"minItems": 1, "maxItems": 2}, [], False),
        ({"minItems": 1, "maxItems": 2}, [1, 2, 3], False),
        ({"items": False, "minItems": 1, "minLength": 3, "pattern": "a", "minimum": 3}, None, True),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, 1, False),
        ({"allOf": [{"minLength": 2}, {"maxLength": 3}]}, "abcd", False),
        ({"oneOf": [{"minimum": 1}, {"minimum": 2}]}, 3, False),
        ({"oneOf": [{"minimum": 1}, {"minimum": 2}]}, 1, True),
        ({"not": {"type": "string"}}, "a", False),
        ({"pattern": "^a+$"}, "aa", True),
        ({"pattern": "^a+$"}, "b", False),
        ({"exclusiveMinimum": 1, "exclusiveMaximum": 3, "maximum": 2}, 2, True),
        ({"exclusiveMinimum": 2}, 2, False),
        ({"exclusiveMaximum": 2}, 2, False),
        ({"maximum": 1}, 2, False),
    ],
)
def test_a_value_is_checked_by_each_keyword(schema: Any, value: Any, expected: bool) -> None:
    assert unsupported(schema) == ""
    assert matches(schema, json.dumps(value)) is expected


@pytest.mark.parametrize("text", ["", "{", "Paris", "[" * 100_000])
def test_an_answer_that_is_not_json_matches_no_schema(text: str) -> None:
    assert not matches(True, text)


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ([], "is not a JSON Schema, which is an object"),
        ({"properties": {"a": 1}}, "is not a JSON Schema, which is an object"),
        ({"$ref": "#/a"}, "has the keyword '$ref'; supported are additionalProperties, allOf"),
        ({"items": {"patternProperties": {}}}, "has the keyword 'patternProperties'"),
        ({"type": "text"}, "has a value of type that JSON Schema does not allow"),
        ({"type": []}, "has a value of type"),
        ({"type": [["string"]]}, "has a value of type"),
        ({"required": "a"}, "has a value of required"),
        ({"pattern": "("}, "has a value of pattern"),
        ({"pattern": 1}, "has a value of pattern"),
        ({"minLength": -1}, "has a value of minLength"),
        ({"minimum": "1"}, "has a value of minimum"),
        ({"anyOf": []}, "has a value of anyOf"),
        ({"anyOf": [{"foo": 1}]}, "has the keyword 'foo'"),
        ({"not": 1}, "has a value of not"),
        ({"enum": 1}, "has a value of enum"),
        ({"properties": []}, "has a value of properties"),
    ],
)
def test_a_schema_that_cannot_be_checked_is_reported(schema: Any, problem: str) -> None:
    assert unsupported(schema).startswith(problem)


def test_a_schema_that_is_nested_too_deeply_is_reported() -> None:
    schema: dict[str, Any] = {}
    for _ in range(100_000):
        schema = {"not": schema}
    assert unsupported(schema) == "is nested too deeply"
