"""A person's wish for an earlier version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from core.model import Push


@dataclass(frozen=True, slots=True)
class RollbackRequest:
    """An earlier version that a person wants to serve again, as it is; a later wish takes its place."""

    version: str
    generation: int
    """Of the wish that it belongs to."""


class Cause(StrEnum):
    """What last asked for a release."""

    PUSH = "push"
    SECRET = "secret"
    CONFIGURATION = "configuration"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Pause:
    """A stop that a person asked for."""

    why: str
    by: str
    since: datetime
    until: datetime | None = None

    def is_active(self, now: datetime) -> bool:
        """True until its end, where it has one."""
        return self.until is None or now < self.until


@dataclass(frozen=True, slots=True)
class Hold:
    """Something that must not be released: why, since when, until when, and by whose word."""

    fingerprint: str
    digest: str
    """The image that is held with it; empty where that image also serves, and only its settings or secrets are held."""
    reason: str
    detail: str
    since: datetime
    until: datetime | None = None
    by: str = ""


@dataclass(frozen=True, slots=True)
class Approval:
    """A person's leave for one version with one fingerprint; it dies with them."""

    version: str
    fingerprint: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class DesiredState:
    """What an agent should run; written by event handlers and people, compare-and-swap, without any lease."""

    generation: int = 0  # grows by one with every change that asks for a release
    user_generation: int = 0
    """The generation of the last push, changed agents.yaml or person's word; a rotation leaves it."""
    push: Push | None = None
    cause: Cause | None = None
    updated_at: datetime | None = None
    not_before: datetime | None = None
    """Not before this time: soak or settle."""
    pause: Pause | None = None
    approval: Approval | None = None
    holds: tuple[Hold, ...] = ()
    """Holds that people set."""
    lifted_at: Mapping[str, datetime] = field(default_factory=dict)
    """Fingerprint or digest -> when a person lifted the holds on it that were older."""
    newest_push: Push | None = None
    """The newest push told, where a person chose another: only a newer one than it takes the choice's place."""
    runtime_hash: str = ""
    """A hash of what the agent's rule last said of what runs."""
    traceparent: str | None = None
    """Of what last asked, so that a release taken up later still belongs to its push's trace."""
    rollback: RollbackRequest | None = None
