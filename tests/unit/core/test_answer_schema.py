"""An answer is checked against a JSON Schema; what is wrong with a schema is said when the dataset is read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.answer_schema import MAX_DEPTH, matches, schema_problem

PERSON = {
    "type": "object",
    "title": "a person",
    "required": ["name"],
    "properties": {"name": {"type": "string", "minLength": 1}, "age": {"type": "integer", "minimum": 0}},
    "additionalProperties": False,
}
DRAFT_7 = {"$schema": "http://json-schema.org/draft-07/schema#"}
TREE = {"type": "object", "properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}, "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        (PERSON, {"name": "Ann", "age": 3.0}, True),
        (PERSON, {"name": "Ann", "age": 3.5}, False),
        (PERSON, {"name": "Ann", "more": 1}, False),
        (PERSON, [], False),
        (True, 1, True),
        (False, 1, False),
        ({"type": "integer"}, True, False),
        ({"enum": [1, "a", [True]]}, True, False),
        ({"enum": [1, "a", [True]]}, [1], False),
        ({"const": {"a": [1]}}, {"a": [1.0]}, True),
        ({"oneOf": [{"minimum": 1}, {"minimum": 2}]}, 3, False),
        ({"pattern": "^a+$"}, "aa", True),
        ({"pattern": "^a+$"}, "b", False),
        ({"patternProperties": {"^x-": {"type": "string"}}, "additionalProperties": False}, {"x-a": "b"}, True),
        ({"patternProperties": {"^x-": {"type": "string"}}, "additionalProperties": False}, {"y": "b"}, False),
        ({"if": {"required": ["a"]}, "then": {"required": ["b"]}}, {"a": 1}, False),
        ({"prefixItems": [{"type": "string"}], "items": False, "uniqueItems": True}, ["a"], True),
        ({"$defs": {"name": {"type": "string"}}, "items": {"$ref": "#/$defs/name"}}, [1], False),
        (TREE, {"left": {"right": {}}}, True),
        (TREE, {"left": {"right": {"middle": {}}}}, False),
        ({**DRAFT_7, "definitions": {"a": {"type": "string"}}, "items": [{"$ref": "#/definitions/a"}]}, [1], False),
        ({"format": "date"}, "not a date", True),
        ({"type": "string", "const": "\0"}, "\0", True),
        ({"type": "integer"}, 10**400, True),
    ],
)
def test_a_value_is_checked_by_each_keyword(schema: Any, value: Any, expected: bool) -> None:
    assert schema_problem(schema) == ""
    assert matches(schema, json.dumps(value)) is expected


@pytest.mark.parametrize("text", ["", "{", "Paris", "NaN", '"\\ud800"', "[" * 100_000, "1" * 5_000])
def test_an_answer_that_is_not_json_matches_no_schema(text: str) -> None:
    assert not matches({}, text)


def test_an_answer_may_be_nested_as_deep_as_the_stack_surely_allows() -> None:
    assert matches(TREE, '{"left": ' * (MAX_DEPTH - 1) + "{}" + "}" * (MAX_DEPTH - 1))
    assert not matches(TREE, '{"left": ' * MAX_DEPTH + "{}" + "}" * MAX_DEPTH)


def test_no_pattern_backtracks() -> None:
    backtracking = "^(x+x+)+y$"
    names: dict[str, Any] = {"patternProperties": {backtracking: {}}}
    text = "x" * 10_000
    assert not matches({"pattern": backtracking}, json.dumps(text))
    assert not matches({**names, "additionalProperties": False}, json.dumps({text: 1}))
    assert not matches({**names, "unevaluatedProperties": False}, json.dumps({text: 1}))


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ([], "is not an object such as {}"),
        ({"properties": {"a": 1}}, "has a value at 'properties.a' that JSON Schema does not allow"),
        ({"properties": {"a": {"minLength": -1}}}, "has a value at 'properties.a.minLength' that JSON Schema does not"),
        ({"type": "text"}, "has a value at 'type'"),
        ({"anyOf": []}, "has a value at 'anyOf'"),
        ({"multipleOf": 0}, "has a value at 'multipleOf'"),
        ({**DRAFT_7, "type": "text"}, "has a value at 'type'"),
        ({"items": {"reqired": ["a"]}}, "has the keyword 'reqired', which JSON Schema 2020-12 does not have"),
        ({"nullable": True, "type": "string"}, "has the keyword 'nullable'"),
        ({"k" * 200: 1}, f"has the keyword '{'k' * 80}', which"),
        ({"pattern": "("}, "has an expression at 'pattern' that is wrong, or has look-around or a back-reference"),
        ({"pattern": "(?=a)"}, "has an expression at 'pattern'"),
        ({"patternProperties": {"(a)\\1": {}}}, "has an expression at 'patternProperties.(a)"),
        ({"$ref": "#/$defs/a"}, "has a $ref that leads to nothing in it, or an unknown $schema; nothing is fetched"),
        ({"items": {"$ref": "https://example.com/a.json"}}, "has a $ref that leads to nothing in it"),
        ({"$schema": "https://example.com/own"}, "has a $ref that leads to nothing in it, or an unknown $schema"),
    ],
)
def test_a_schema_that_cannot_be_checked_is_reported(schema: Any, problem: str) -> None:
    assert schema_problem(schema).startswith(problem)


def test_the_library_is_imported_where_a_row_has_a_schema() -> None:
    script = """
import sys
from core.agents_file.dataset import parse_dataset
parse_dataset(b'{"ask": "a", "expect": "b"}')
print("jsonschema_rs" in sys.modules)
parse_dataset(b'{"ask": "a", "schema": {}}')
print("jsonschema_rs" in sys.modules)
"""
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.split() == ["False", "True"]
