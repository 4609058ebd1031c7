"""The JSON Schema and the reference page of agents.yaml agree with the spec."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

from core.agents_file import json_schema
from core.agents_file.fields import PROTOCOLS, SLIPWAY_DEFINITION_KEYS, TOOLS, parse_duration
from core.agents_file.github import GitHubSpec
from core.agents_file.loader import AgentsFileError, load_agents
from core.agents_file.signers import GitHubSigner, IdentitySigner, KeySigner
from core.agents_file.spec import AgentSpec, ConnectionRef, SecretRef

ROOT = Path(__file__).resolve().parents[4]
PAGE = (ROOT / "docs/reference/agents-yaml.md").read_text()
BLOCK = re.compile(r"```(yaml[ \w]*)\n(.*?)```", re.DOTALL)
KINDS = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "null": type(None),
}
SCHEMA = json_schema.schema()


PUBLIC_KEY = b"""-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE6xjzZnfT7KnI5DWc0LS/5cCr6SPG
Wl+VlgUHwJx1811fZok7ds6wI01lEydjv8OUxGhj7ZkA1l9fAFxXmsmaEg==
-----END PUBLIC KEY-----
"""
ROOT_FILE = b'{"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1", "tlogs": [{}]}'


def beside(name: str) -> bytes:
    """The files beside agents.yaml that the examples name."""
    if name.startswith("keys/"):
        return ROOT_FILE if name.endswith(".json") else PUBLIC_KEY
    return b'{"ask": "ping", "expect": "pong", "reference": "pong"}'


def examples() -> list[str]:
    """Every agents.yaml that the repository shows."""
    pages = (PAGE, (ROOT / "README.md").read_text())
    return [
        (ROOT / "agents.yaml").read_text(),
        *(m[2] for page in pages for m in BLOCK.finditer(page) if m[1] == "yaml"),
    ]


def faults(value: Any, schema: dict[str, Any], place: str = "") -> Iterator[str]:
    """Where a value does not fit a schema; supports the part of JSON Schema that ours uses."""
    if "$ref" in schema:
        yield from faults(value, SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]], place)
    choices = [list(faults(value, choice, place)) for choice in schema.get("anyOf", schema.get("oneOf", []))]
    if choices and all(choices):
        yield f"{place}: none of {len(choices)} forms"
    kinds = schema.get("type", list(KINDS))
    if not any(_is(value, kind) for kind in ([kinds] if isinstance(kinds, str) else kinds)):
        yield f"{place}: not {kinds}"
    if isinstance(value, str) and not _fits(value, schema):
        yield f"{place}: not as it is written"
    yield from _faults_below(value, schema, place)


def _fits(value: str, schema: dict[str, Any]) -> bool:
    return value in schema.get("enum", [value]) and re.search(schema.get("pattern", ""), value) is not None


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if isinstance(value, date):  # text in YAML 1.2, as in agents.yaml
        return kind == "string"
    return isinstance(value, KINDS[kind]) or (kind == "number" and isinstance(value, int))


def _faults_below(value: Any, schema: dict[str, Any], place: str) -> Iterator[str]:
    if isinstance(value, dict):
        yield from _faults_of_a_map(value, schema, place)
    for index, item in enumerate(value if isinstance(value, list) else []):
        yield from faults(item, schema.get("items", {}), f"{place}.{index}")


def _faults_of_a_map(value: dict[str, Any], schema: dict[str, Any], place: str) -> Iterator[str]:
    yield from (f"{place}.{key}: missing" for key in schema.get("required", []) if key not in value)
    for key, item in value.items():
        patterns = [inner for pattern, inner in schema.get("patternProperties", {}).items() if re.search(pattern, key)]
        inner = [schema.get("properties", {}).get(key), *patterns, schema.get("additionalProperties", True)]
        first = next(found for found in inner if found is not None)
        if first is False:
            yield f"{place}.{key}: unknown"
        elif first is not True:
            yield from faults(item, first, f"{place}.{key}")
        if not re.search(schema.get("propertyNames", {}).get("pattern", ""), key):
            yield f"{place}.{key}: no such name"


def keys(model: type[BaseModel] = AgentSpec, place: str = "") -> dict[str, tuple[Any, str | None]]:
    """Every key of an agent, with its default and meaning."""
    found: dict[str, tuple[Any, str | None]] = {}
    for name, field in model.model_fields.items():
        found[f"{place}{name}"] = (... if field.is_required() else field.default, field.description)
        for inner in (field.annotation, *get_args(field.annotation)):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                found |= keys(inner, f"{place}{name}.{'<NAME>.' if name == 'criteria' else ''}")
    return found


def rows() -> dict[str, list[str]]:
    """The page's table: key -> its other cells."""
    cells = [
        [cell.strip() for cell in row.strip("|").split(" | ")] for row in PAGE.splitlines() if row.startswith("| `")
    ]
    return {key.strip("`"): rest for first, *rest in cells for key in first.split(", ")}


def test_the_schema_in_the_repository_is_up_to_date() -> None:
    assert (ROOT / "docs/agents.schema.json").read_text() == json_schema.text(), "run: make docs"


def test_every_example_fits_the_schema_and_the_spec() -> None:
    found = examples()
    assert len(found) == 7
    for text in found:
        assert list(faults(yaml.safe_load(text), SCHEMA)) == []
        assert load_agents(text.encode(), beside).agents


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{agents: {a: {tag: v}}}", ".agents.a.tag: unknown"),
        ("{defaults: {release: {modes: v}}, agents: {}}", ".defaults.release.modes: unknown"),
        ("{defaults: {release: {mode: fast}}, agents: {}}", ".defaults.release.mode: not as it is written"),
        (
            "{defaults: {release: {min_push_age: ''}}, agents: {}}",
            ".defaults.release.min_push_age: not as it is written",
        ),
        ("{agents: {a: {cpu: [1]}}}", ".agents.a.cpu: not ['string', 'number']"),
        ("{agents: {a: {env: {A: {secret: a_b}}}}}", ".agents.a.env.A: none of 3 forms"),
        ("{agents: {a: {env: {A-B: c}}}}", ".agents.a.env.A-B: unknown"),
        ("{agents: {a_b: {}}}", ".agents.a_b: no such name"),
        ("{}", ".agents: missing"),
    ],
)
def test_the_schema_finds_mistakes(text: str, expected: str) -> None:
    assert expected in list(faults(yaml.safe_load(text), SCHEMA))


def test_every_key_has_a_title_and_a_meaning() -> None:
    for model, definition in SCHEMA["$defs"].items():
        for key, field in definition["properties"].items():
            assert "title" in field or "$ref" in field or "anyOf" in field, key
            assert "description" in field or model == "Probe", key


def test_the_page_has_every_key_with_its_default_and_meaning() -> None:
    references = {
        f"env.<NAME>.{key}": (None, meaning)
        for m in (SecretRef, ConnectionRef)
        for key, (_, meaning) in keys(m).items()
    } | {
        f"release.signed_by.{key}": (None if default is ... else default, meaning)
        for m in (KeySigner, GitHubSigner, IdentitySigner)
        for key, (default, meaning) in keys(m).items()
    }
    known = {key: field for key, field in keys().items() if key != "name"} | references
    known |= keys(GitHubSpec, "github.")
    table = rows()
    assert set(table) == set(known)
    for key, (default, meaning) in known.items():
        _, shown, description, example = table[key]
        assert description == meaning or meaning is None, key
        assert example, key
        if default is ...:
            assert shown == "required", key
        elif default is None or isinstance(default, BaseModel):
            assert shown == "", key
        elif isinstance(default, timedelta):
            assert parse_duration(shown.strip("`")) == default, key
        else:
            plain = json.loads(json.dumps(default))
            assert plain in (shown.strip("`"), yaml.safe_load(shown.strip("`"))), key


def test_the_page_names_every_protocol_tool_and_reserved_key() -> None:
    for word in (*PROTOCOLS, *TOOLS, *SLIPWAY_DEFINITION_KEYS):
        assert f"`{word}`" in PAGE


def test_every_example_of_the_table_is_valid() -> None:
    for key, (_, _, _, example) in rows().items():
        top, *below = key.split(".")
        body = example.strip("`")
        if top == "github":
            needed = {"app_id": "1", "private_key": "k", "repositories": "[a/b]", below[0]: body}
            body = ", ".join(f"{name}: {value}" for name, value in needed.items())
            assert load_agents(f"agents: {{a: {{repository: x}}}}\ngithub: {{{body}}}".encode()).github, key
            continue
        if top == "env" and below:
            below = ["NAME"]
        elif below[:1] in (["verify"], ["check"]) and len(below) == 2:
            rest = {"post": "a"} if below[1] in ("post", "status") else {"ask": "a", "expect": "b"}
            body = "{" + ", ".join(f"{k}: {v}" for k, v in (rest | {below.pop(): body}).items()) + "}"
        elif below[:2] == ["windows", "freezes"] and len(below) == 3:
            rest = {"start": "2026-12-18", "end": "2026-12-24"}
            body = "{" + ", ".join(f"{k}: {v}" for k, v in (rest | {below.pop(): body}).items()) + "}"
        elif below[1:] and below[0] in NESTED:
            below, body = below[:1], NESTED[below[0]](below[1:], body)
        for name in reversed(below):
            body = f"{{{name}: {body}}}"
        repository = "" if top == "repository" else "repository: x, "
        assert load_agents(f"agents: {{a: {{{repository}{top}: {body}}}}}".encode(), beside).agents, key


def signers_with(keys: list[str], example: str) -> str:
    """A valid ``release.signed_by`` with the example."""
    rest = dict.fromkeys(("workflow", "ref"), "github: a/b, ") | {"identity": "issuer: a, ", "issuer": "identity: a, "}
    return f"[{{{rest.get(keys[0], '')}{keys[0]}: {example}}}]"


def evaluate_with(keys: list[str], example: str) -> str:
    """A valid ``release.evaluate`` with the example."""
    own = {"at_most": "latency_p95", "operation": "string_check"}
    name = own.get(keys[-1], "builtin.coherence" if keys == ["judge"] else "text_similarity")
    threshold = "" if keys[-1] in ("pass_rate", "mean", "at_most") else "pass_rate: 0.9, "
    value = "0.9" if keys[-1] == "mean" else example
    criteria = (
        f"{{{name}: {{{threshold}{keys[-1]}: {value}}}}}" if "<NAME>" in keys else f"{{{name}: {{pass_rate: 1}}}}"
    )
    parts = {"dataset": "rows.jsonl", "criteria": criteria}
    parts |= {"no_worse_than": "live"} if keys == ["margin"] else {}
    parts |= {} if "<NAME>" in keys else {keys[0]: example}
    return "{" + ", ".join(f"{key}: {value}" for key, value in parts.items()) + "}"


NESTED = {"evaluate": evaluate_with, "signed_by": signers_with}


def test_the_mistakes_on_the_page_are_up_to_date() -> None:
    (text,) = (found[2] for found in BLOCK.finditer(PAGE) if found[1] == "yaml wrong")
    with pytest.raises(AgentsFileError) as wrong:
        load_agents(text.encode())
    assert f"```text\n{wrong.value.text_for('agents.yaml')}\n```" in PAGE


@pytest.mark.parametrize(
    ("value", "text"), [("0s", "0s"), ("90s", "1m30s"), ("48h", "2d"), ("1d1h1m1s", "1d1h1m1s"), ("3650d", "3650d")]
)
def test_a_duration_is_formatted_as_it_is_written(value: str, text: str) -> None:
    whole = parse_duration(value)
    assert isinstance(whole, timedelta)
    assert json_schema.format_duration(whole) == text
