"""Reads values of JSON that somebody else wrote, whatever their types are."""

from __future__ import annotations

from collections.abc import Mapping


def as_map(value: object) -> Mapping[str, object]:
    """The value, where it is an object of JSON; else an empty one."""
    return value if isinstance(value, dict) else {}
