"""Every door that something from outside comes through."""

from __future__ import annotations

from tests.fuzz import events, foundry, records, rules, services, turns
from tests.fuzz.target import Target

TARGETS: tuple[Target, ...] = (
    *events.TARGETS,
    *rules.TARGETS,
    *records.TARGETS,
    *foundry.TARGETS,
    *services.TARGETS,
    *turns.TARGETS,
)


def named(name: str) -> Target:
    """The target of a name."""
    return next(one for one in TARGETS if one.name == name)
