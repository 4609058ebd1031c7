"""Says in one sentence what is wrong with a value of agents.yaml and what to write instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from core.agents_file.copied_text import copied_character
from core.agents_file.fields import quote, truncate
from core.agents_file.github import GitHubSpec
from core.agents_file.signers import GitHubSigner, IdentitySigner, KeySigner
from core.agents_file.spec import AgentSpec, ConnectionRef, SecretRef
from core.similar_names import most_similar

TOP_LEVEL_KEYS = ("defaults", "agents", "projects", "github")
PROJECT_KEYS = ("endpoint", "vault")
STAGE_KEYS = ("project", "projects", "soak")
"""Beside the keys of an agent."""
SIGNERS = (KeySigner, GitHubSigner, IdentitySigner)
SIGNER_KEYS = tuple(key for kind in SIGNERS for key in kind.model_fields)
REFERENCE_KEYS = {kind.__name__: tuple(kind.model_fields) for kind in (SecretRef, ConnectionRef, *SIGNERS)}
"""The keys of a value that has several map forms, by the name that pydantic puts into an error's location."""


def _keys_by_path(model: type[BaseModel], path: tuple[str, ...] = ()) -> dict[tuple[str, ...], tuple[str, ...]]:
    keys = {path: tuple(key for key in model.model_fields if key != "name")}
    for key, field in model.model_fields.items():
        for inner in (field.annotation, *get_args(field.annotation)):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                keys |= _keys_by_path(inner, (*path, key))
    return keys


AGENT_KEYS = _keys_by_path(AgentSpec)
AGENT_KEYS[()] += ("stages",)
AGENT_KEYS[("github",)] = tuple(GitHubSpec.model_fields)
"""The keys of each map of an agent, by its path in the agent, and of github, which no agent has."""
KEYS_BY_HOME: Mapping[str, tuple[str, ...]] = {
    "at the top level": TOP_LEVEL_KEYS,
    "under a project": PROJECT_KEYS,
    "under a stage": STAGE_KEYS,
    "next to `secret`": ("version",),
    "under a variable of env": ("secret", "connection"),
    "under an item of release.signed_by": SIGNER_KEYS,
    **{f"under {'.'.join(path)}" if path else "directly under the agent": keys for path, keys in AGENT_KEYS.items()},
}
PATTERN_MESSAGES = {
    "name": "an agent name has only letters, digits and hyphens between them, at most 63 characters",
    "cpu": 'write cores as a decimal number, such as "0.5", "1" or "2"',
    "memory": "write gibibytes with the unit Gi, such as 2Gi",
    "protocols": 'write the protocol\'s version as numbers, such as "2.0.0"',
    **dict.fromkeys(
        ("secret", "private_key"),
        "a Key Vault secret name has only letters, digits and hyphens, at most 127 characters",
    ),
    "version": "a secret's version is 32 hexadecimal digits",
    "app_id": "write the App's id, such as 123456, or its client id, which begins with Iv",
    "connection": "write connection.credentials.field, connection.target or connection.metadata.field",
}
TEMPLATES = {
    "missing": "is missing; add `{key}: …` here",
    **dict.fromkeys(("too_short", "string_too_short"), "is empty; write at least one, or remove the key"),
    "string_type": "expected text, found {kind}",
    "tuple_type": "expected a list, found {kind}",
    **dict.fromkeys(("model_type", "mapping_type", "dict_type"), "expected a map, found {kind}"),
    **dict.fromkeys(("int_type", "int_from_float"), "expected a whole number, found {value}"),
    "float_type": "expected a number, found {value}",
    "bool_type": "expected true or false, found {value}",
    "literal_error": "write {expected}, not {value}",
    "greater_than_equal": "write {ge} or more, not {value}",
    "less_than_equal": "write {le} or less, not {value}",
    "union_tag_not_found": "expected text, {{secret: name}} or {{connection: name.credentials.field}}",
}
"""By the type of pydantic's error."""
NO_VALUE = "has no value; write one, or remove the key"
OWN_NAME = "unknown key; an agent's name is the key above it"


def message_of(error: ErrorDetails, keys: tuple[str, ...], scalar: str | None) -> str:
    """The message for an error of pydantic; ``scalar`` is the value's text in the file, if it is a scalar."""
    kind, value = error["type"], error["input"]
    if kind == "extra_forbidden":
        path = tuple(key for key in keys[:-1] if not key.isdecimal())
        return unknown_key(keys[-1], REFERENCE_KEYS.get(str(error["loc"][-2:][0])) or _keys_at(path))
    if value is None:
        return 'has no value; write "" for empty text' if len(keys) == 2 and keys[0] == "env" else NO_VALUE
    if kind in ("value_error", "incomplete", "days", "signer"):
        return str(error["ctx"]["error"]) if kind == "value_error" else error["msg"]
    if kind == "string_pattern_mismatch":
        return PATTERN_MESSAGES.get(keys[-1]) or PATTERN_MESSAGES[keys[0]]
    return _from_template(error, keys[-1], scalar)


def _from_template(error: ErrorDetails, key: str, scalar: str | None) -> str:
    kind, value = error["type"], error["input"]
    if kind == "string_type" and scalar is not None:
        return f'expected text, found {truncate(scalar)}; write "{truncate(scalar)}"'
    if kind == "union_tag_not_found" and isinstance(value, dict) and {"secret", "connection"} <= set(value):
        return "write secret or connection, not both"
    text = quote(value) if isinstance(value, str) or scalar is None else truncate(scalar)
    fields = {**error.get("ctx", {}), "key": key, "kind": kind_of(value), "value": text, "msg": error["msg"]}
    return TEMPLATES.get(kind, "{msg}").format(**fields)


def _keys_at(path: tuple[str, ...]) -> tuple[str, ...]:
    """The keys of the map at a path; a criterion has the keys of every criterion."""
    return AGENT_KEYS.get(path) or AGENT_KEYS.get(path[:-1] if path[-2:-1] == ("criteria",) else path, ())


def kind_of(value: Any) -> str:
    """The kind of a value, for messages that must not show the value."""
    kinds = {list: "a list", dict: "a map", str: "text", bool: "true or false", int: "a number", float: "a number"}
    return kinds.get(type(value), "nothing")


def unknown_key(key: str, valid: Iterable[str]) -> str:
    """Where the key belongs if it exists elsewhere, else the most similar key of this map, else of any map."""
    if found := copied_character(key):
        return f"unknown key; it has {found}"
    if homes := _homes_of(key):
        return f"unknown key here; it belongs {homes}"
    if similar := most_similar(_as_key(key), valid):
        return f"unknown key; did you mean {similar}?"
    others = (known for home, keys in KEYS_BY_HOME.items() if home != "under github" for known in keys)
    if similar := most_similar(_as_key(key), others, cutoff=0.65):
        return f"unknown key here; did you mean {similar}, {_homes_of(similar)}?"
    return f"unknown key; valid keys here: {', '.join(valid)}"


def _homes_of(key: str) -> str:
    return " or ".join(home for home, keys in KEYS_BY_HOME.items() if key in keys)


def _as_key(text: str) -> str:
    return text.lower().replace("-", "_")
