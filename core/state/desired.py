"""DesiredState: what an agent should run. Events and operators write it, by compare-and-swap without a lease."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from core.model import Push


class Cause(StrEnum):
    """What last asked for a release."""

    PUSH = "push"
    SECRET = "secret"
    CONFIGURATION = "configuration"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Pause:
    """An operator stopped the agent's releases."""

    why: str
    by: str
    since: datetime
    until: datetime | None = None

    def is_active(self, now: datetime) -> bool:
        """True until the pause ends; a pause without ``until`` ends by ``slipway resume`` only."""
        return self.until is None or now < self.until


@dataclass(frozen=True, slots=True)
class Hold:
    """A definition, or an image, that must not be released."""

    fingerprint: str
    digest: str
    """Empty where the live version has the same image: then only the definition is held."""
    reason: str
    detail: str
    since: datetime
    until: datetime | None = None
    by: str = ""


@dataclass(frozen=True, slots=True)
class Approval:
    """Approval of one version; void for any other, also for one with its number after the agent was recreated."""

    version: str
    fingerprint: str
    by: str
    at: datetime
    created_at: datetime | None = None
    """When the version was created: a recreated agent counts from 1 again."""


@dataclass(frozen=True, slots=True)
class LiftedHold:
    """Names a hold that Slipway set and an operator removed; a hold that is set later is another one."""

    fingerprint: str
    digest: str
    since: datetime


@dataclass(frozen=True, slots=True)
class RollbackRequest:
    """An operator wants an earlier version to serve again, unchanged; void once the generation changes."""

    version: str
    generation: int
    created_at: datetime | None = None
    """When the version was created: a recreated agent counts from 1 again."""


@dataclass(frozen=True, slots=True)
class DesiredState:
    """What an agent should run."""

    generation: int = 0
    """Grows by one with each change that asks for a release."""
    user_generation: int = 0
    """The generation of the last push, agents.yaml change or operator's command; a rotated secret leaves it."""
    push: Push | None = None
    cause: Cause | None = None
    updated_at: datetime | None = None
    not_before: datetime | None = None
    """The end of ``release.min_push_age`` or ``release.debounce``."""
    pause: Pause | None = None
    approval: Approval | None = None
    holds: tuple[Hold, ...] = ()
    """Set by operators; those that Slipway sets are in the release state."""
    lifted: tuple[LiftedHold, ...] = ()
    """Holds in the release state that operators removed."""
    newest_push: Push | None = None
    """The newest push, where an operator chose another one: only a push newer than this replaces that choice."""
    runtime_hash: str = ""
    """Hash of the part of the agent's spec that makes another version when it changes."""
    traceparent: str | None = None
    """Trace context of the last change, so that a release that starts later belongs to its push's trace."""
    rollback: RollbackRequest | None = None
