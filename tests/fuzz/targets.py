"""Every door that something from outside comes through."""

from __future__ import annotations

from tests.fuzz import agents_file, events, foundry, records, releases, services
from tests.fuzz.target import Target

TARGETS: tuple[Target, ...] = (
    *events.TARGETS,
    *agents_file.TARGETS,
    *records.TARGETS,
    *foundry.TARGETS,
    *services.TARGETS,
    *releases.TARGETS,
)


def named(name: str) -> Target:
    """The target of a name."""
    return next(one for one in TARGETS if one.name == name)
