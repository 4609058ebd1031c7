"""A person's wish for an earlier version."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RollbackRequest:
    """An earlier version that a person wants to serve again, as it is; a later wish takes its place."""

    version: str
    serial: int
    """Of the wish that it belongs to."""
