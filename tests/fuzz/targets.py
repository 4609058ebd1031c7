"""All fuzz targets: every entry point for data from outside."""

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


def find_target(name: str) -> Target:
    """The target with this name."""
    return next(target for target in TARGETS if target.name == name)
