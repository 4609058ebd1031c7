"""Reads values of JSON that somebody else wrote, whatever their types are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def as_map(value: object) -> Mapping[str, Any]:
    """The value, where it is an object of JSON; else an empty one."""
    return value if isinstance(value, Mapping) else {}


def as_maps(value: object) -> list[Mapping[str, Any]]:
    """The objects of a list of JSON; none where the value is not a list."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
