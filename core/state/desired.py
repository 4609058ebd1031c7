"""DesiredState: what an agent should run. Events and operators write it, by compare-and-swap without a lease."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from core.model import Push

MAX_PREVIOUS_PUSHES = 10
MAX_WAITING_PUSHES = 10
MAX_KEPT_TAGS = 100
MAX_REJECTED_DIGESTS = 100
"""More than a page of tags has: else a release could choose a rejected push of that page again, for ever."""


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
    """An operator wants an earlier version to serve again, unchanged; in force until a newer push or command."""

    version: str
    generation: int
    """The generation that asks for exactly this version; later ones renew its secrets."""
    created_at: datetime | None = None
    """When the version was created: a recreated agent counts from 1 again."""
    push: Push | None = None
    """The push of the version."""
    by: str = ""
    why: str = ""
    at: datetime | None = None
    secrets: tuple[str, ...] = ()
    """Names, in lower case, of the secrets that the version has and whose rotation renews it."""
    config_at: datetime | None = None
    """When a deployment changed agents.yaml since, which waits."""


@dataclass(frozen=True, slots=True)
class NamedVersion:
    """The newest version of a secret that an event named: a read that gives an older one lags."""

    version: str
    at: datetime
    """The time of the event."""
    since: datetime
    """When the event came, by our clock."""


@dataclass(frozen=True, slots=True)
class WaitingPush:
    """A push that is younger than ``release.min_push_age``."""

    push: Push
    since: datetime
    """When Slipway learned of it, by our clock."""
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class KeptTag:
    """A tag of ``keep.tags`` that an image had, also where it has moved since."""

    digest: str
    tag: str


@dataclass(frozen=True, slots=True)
class PreviousPush:
    """What was desired before a push replaced it; desired again if that push is rejected."""

    push: Push | None = None
    push_generation: int = 0
    generation: int = 0
    """The generation that was asked for then."""
    user_generation: int = 0
    newest_push: Push | None = None
    runtime_hash: str = ""
    rollback: RollbackRequest | None = None
    """A rollback that was in force."""
    due_generation: int = 0


@dataclass(frozen=True, slots=True)
class RejectedDigest:
    """An image that cannot be deployed: Slipway never chooses it again."""

    digest: str
    reason: str


@dataclass(frozen=True, slots=True)
class RejectedPush:
    """The last push, where it cannot be deployed, for people to see."""

    push: Push
    reason: str
    detail: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Restored:
    """A generation that only takes back a rejected push; void once the generation changes."""

    generation: int
    repeats: int
    """The earlier generation that asks for the same."""


@dataclass(frozen=True, slots=True)
class StageWait:
    """An image that is good in the stage before, and that the target has not taken."""

    push: Push
    since: datetime
    """Since when it is good at every target of that stage."""
    until: datetime
    reason: str
    """STAGE_WAITING, or why the target never takes it."""


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
    """The end of the quiet time after a change of a secret or of agents.yaml (``release.debounce``)."""
    quiet_since: datetime | None = None
    """When that quiet time began: later changes prolong it, up to ``release.debounce_at_most``."""
    due_generation: int = 0
    """The changes up to this generation do not wait for the quiet time."""
    waiting: tuple[WaitingPush, ...] = ()
    """Pushes that are not old enough yet, the newest first; each is newer than the desired push."""
    kept_tags: tuple[KeptTag, ...] = ()
    """The newest last."""
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
    """The rollback that is in force."""
    push_generation: int = 0
    """The generation at which the push became desired."""
    previous_pushes: tuple[PreviousPush, ...] = ()
    """What was desired before the push, the newest first."""
    rejected: tuple[RejectedDigest, ...] = ()
    """The newest first."""
    last_rejection: RejectedPush | None = None
    restored: Restored | None = None
    unconfirmed: Push | None = None
    """A fresh push that the registry does not show yet, while it names an older one: it may lag, and is asked again."""
    named_secrets: Mapping[str, NamedVersion] = field(default_factory=dict)
    """Secret name in lower case -> the version that an event named last."""
    requested_generation: int = 0
    """The generation of an operator's last release: it waits for no window."""
    stage_wait: StageWait | None = None
    """Where the target takes its images from an earlier stage."""
    passed_digests: tuple[str, ...] = ()
    """Digests that were taken from the stage before, or that an operator sent past it; the newest last."""
    past_stage: str = ""
    """The digest that an operator sent past the stage before: holds of that stage do not count for it."""
    withdrawn_digest: str = ""
    """The digest that was taken from the stage before, where somebody moved the traffic before it was live here."""

    @property
    def rejected_digests(self) -> Mapping[str, str]:
        """Digest -> reason code."""
        return {item.digest: item.reason for item in self.rejected}

    @property
    def next_push(self) -> Push | None:
        """The newest push that waits, or else the desired one."""
        return self.waiting[0].push if self.waiting else self.push

    @property
    def newest_known_push(self) -> Push | None:
        """Only a push that is newer than this counts."""
        return self.waiting[0].push if self.waiting else self.newest_push or self.push

    @property
    def newest_traceparent(self) -> str | None:
        """The trace of the newest change, also of a push that waits."""
        return self.waiting[0].traceparent if self.waiting else self.traceparent

    @property
    def asked_generation(self) -> int:
        """The newest generation that asks for something; a generation that takes back a rejected push does not."""
        restored = self.restored
        return restored.repeats if restored is not None and restored.generation == self.generation else self.generation
