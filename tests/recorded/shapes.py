"""Compares an answer with the recorded one: status, headers, keys, types, and the values that the service decides."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

DECIDED = frozenset(
    {
        *("object", "status", "version", "type", "code", "name", "role", "default_version", "param"),
        *("has_more", "first_id", "last_id", "deleted", "agent_version", "traffic_percentage"),
    }
)
"""Keys whose values are compared. Others hold ids, times and texts, which differ each time."""
UNCOMPARED_HEADERS = frozenset({"date"})
"""Every answer has it; its value is compared nowhere."""


@dataclass(frozen=True)
class Answer:
    """An answer to a request; without a body it is None."""

    status: int
    headers: Mapping[str, str]
    body: object


def differences(ours: Answer, recorded: Answer) -> list[str]:
    """What differs, a line each; answers with different statuses are not compared further."""
    if ours.status != recorded.status:
        return [f"status is {ours.status}, recorded {recorded.status}"]
    return [*_headers(ours, recorded), *_values("body", ours.body, recorded.body)]


def _headers(ours: Answer, recorded: Answer) -> Iterator[str]:
    found = {name.lower(): _comparable(name, value) for name, value in ours.headers.items()}
    for name, value in recorded.headers.items():
        if name.lower() in UNCOMPARED_HEADERS or (name.lower() == "content-type" and recorded.body is None):
            continue
        expected, got = _comparable(name, value), found.get(name.lower())
        if got is None:
            yield f"header {name} is missing"
        elif got != expected:
            yield f"header {name} is {got}, recorded {expected}"


def _comparable(name: str, value: str) -> str:
    """The media type, the scheme and parameters of a challenge, or that the header is there."""
    if name.lower() == "content-type":
        return value.partition(";")[0].strip()
    if name.lower() == "www-authenticate":
        return " ".join([value.split(maxsplit=1)[0], *re.findall(r"(\w+)=", re.sub(r'"[^"]*"', "", value))])
    return "there"


def _values(path: str, ours: object, recorded: object) -> Iterator[str]:
    if isinstance(ours, dict) and isinstance(recorded, dict):
        yield from _objects(path, ours, recorded)
    elif isinstance(ours, list) and isinstance(recorded, list):
        if len(ours) != len(recorded):
            yield f"{path} has {len(ours)} items, recorded {len(recorded)}"
        for index, (found, expected) in enumerate(zip(ours, recorded, strict=False)):
            yield from _values(f"{path}.{index}", found, expected)
    elif _type(ours) != _type(recorded):
        yield f"{path} is {_type(ours)}, recorded {_type(recorded)}"
    elif ours != recorded and _is_decided(path):
        yield f"{path} is {ours}, recorded {recorded}"


def _objects(path: str, ours: Mapping[str, object], recorded: Mapping[str, object]) -> Iterator[str]:
    for key in sorted(ours.keys() | recorded.keys()):
        if key not in ours:
            yield f"{path}.{key} is missing"
        elif key not in recorded:
            yield f"{path}.{key} is added"
        else:
            yield from _values(f"{path}.{key}", ours[key], recorded[key])


def _is_decided(path: str) -> bool:
    parts = path.split(".")
    return parts[-1] in DECIDED or "metadata" in parts


def _type(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return "null" if value is None else "a boolean"
    names = ((int | float, "a number"), (str, "a text"), (list, "a list"))
    return next((name for kind, name in names if isinstance(value, kind)), "an object")
