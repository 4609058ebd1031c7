"""What is wrong with a value of agents.yaml and what to write instead, in one sentence."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from core.agents_file.fields import short, shown
from core.agents_file.spec import AgentSpec, ConnectionRef, SecretRef

TOP = ("defaults", "agents")
REFS = {"SecretRef": tuple(SecretRef.model_fields), "ConnectionRef": tuple(ConnectionRef.model_fields)}
"""What pydantic calls the two forms of a variable's value in a mistake's place: their keys."""


def _homes(model: type[BaseModel], place: tuple[str, ...] = ()) -> dict[tuple[str, ...], tuple[str, ...]]:
    homes = {place: tuple(key for key in model.model_fields if key != "name")}
    for key, field in model.model_fields.items():
        for inner in (field.annotation, *get_args(field.annotation)):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                homes |= _homes(inner, (*place, key))
    return homes


HOMES = _homes(AgentSpec)
"""The keys that each map of an agent may have, by its place in the agent."""
BELONGS: Mapping[str, tuple[str, ...]] = {
    "at the top of the file": TOP,
    "beside `secret`": ("version",),
    "below a variable of env": ("secret", "connection"),
    **{f"below {'.'.join(place) or 'the agent itself'}": keys for place, keys in HOMES.items()},
}
PATTERNS = {
    "name": "an agent's name is letters, digits and hyphens inside, 63 characters at most",
    "cpu": 'write cores as a decimal number, such as "0.5", "1" or "2"',
    "memory": "write gibibytes with their unit, such as 2Gi",
    "protocols": 'write a protocol\'s version as numbers, such as "2.0.0"',
    "secret": "a Key Vault name has letters, digits and hyphens, 127 at most",
    "version": "a secret's version is 32 hexadecimal digits",
    "connection": "write connection.credentials.field, connection.target or connection.metadata.field",
}
KINDS = {
    "missing": "is missing; add `{key}: …` here",
    "too_short": "is empty; write at least one, or remove the key",
    "string_type": "expected text, not {noun}",
    "tuple_type": "expected a list, not {noun}",
    "model_type": "expected a map, not {noun}",
    "mapping_type": "expected a map, not {noun}",
    "dict_type": "expected a map, not {noun}",
    "int_type": "expected a whole number, not {shown}",
    "int_from_float": "expected a whole number, not {shown}",
    "bool_type": "expected true or false, not {shown}",
    "literal_error": "write {expected}, not {shown}",
    "greater_than_equal": "write {ge} or more, not {shown}",
    "less_than_equal": "write {le} or less, not {shown}",
    "union_tag_not_found": "expected text, {{secret: name}} or {{connection: name.credentials.field}}",
}


def sentence(error: ErrorDetails, keys: tuple[str, ...], written: str | None) -> str:
    """The sentence for one mistake that pydantic found; ``written`` is the scalar as it stands in the file."""
    kind, value = error["type"], error["input"]
    if kind == "extra_forbidden":
        home = tuple(key for key in keys[:-1] if not key.isdecimal())
        return unknown(keys[-1], REFS.get(str(error["loc"][-2:][0])) or HOMES.get(home, ()))
    if value is None:
        return 'has no value; write "" for empty text' if len(keys) == 2 and keys[0] == "env" else no_value()
    if kind in ("value_error", "incomplete"):
        return str(error["ctx"]["error"]) if kind == "value_error" else error["msg"]
    if kind == "string_pattern_mismatch":
        return PATTERNS.get(keys[-1]) or PATTERNS[keys[0]]
    return _templated(error, keys[-1], written)


def _templated(error: ErrorDetails, key: str, written: str | None) -> str:
    kind, value = error["type"], error["input"]
    if kind == "string_type" and written is not None:
        return f'expected text, not {short(written)}; write "{short(written)}"'
    if kind == "union_tag_not_found" and isinstance(value, dict) and {"secret", "connection"} <= set(value):
        return "give secret or connection, not both"
    told = shown(value) if isinstance(value, str) or written is None else short(written)
    words = {**error.get("ctx", {}), "key": key, "noun": noun(value), "shown": told, "msg": error["msg"]}
    return KINDS.get(kind, "{msg}").format(**words)


def no_value() -> str:
    """A key with nothing behind it: half of an edit, so it is not taken for the default."""
    return "has no value; write one, or remove the key"


def noun(value: Any) -> str:
    """What a value is, without showing it."""
    names = {list: "a list", dict: "a map", str: "text", bool: "true or false", int: "a number", float: "a number"}
    return names.get(type(value), "nothing")


def unknown(key: str, own: Iterable[str]) -> str:
    """Where an unknown key belongs if it exists, else the nearest of the keys of its own place, else of any."""
    homes = [home for home, keys in BELONGS.items() if key in keys]
    if homes:
        return f"unknown key here; it belongs {' or '.join(homes)}"
    if meant := _nearest(key, own):
        return f"unknown key; did you mean {meant}?"
    if meant := _nearest(key, (one for keys in BELONGS.values() for one in keys)):
        homes = [home for home, keys in BELONGS.items() if meant in keys]
        return f"unknown key here; did you mean {meant}, {' or '.join(homes)}?"
    return f"unknown key; known here: {', '.join(own)}"


def _nearest(key: str, known: Iterable[str]) -> str | None:
    plain = key.lower().replace("-", "_")
    return next(iter(difflib.get_close_matches(plain, list(dict.fromkeys(known)), n=1)), None)
