"""The ledger's two records per agent: what is wanted, and how far its release is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from core.image_manifest import ImageFacts
from core.model import Push, Routing
from core.state.desired import Hold

MAX_REMEMBERED_IMAGES, MAX_HISTORY_ENTRIES = 20, 50  # digests whose facts, and ended releases, that a record remembers


class Phase(StrEnum):
    """How far a release is; what is written down is never done again."""

    STARTED = "begun"
    CONFIRMED = "confirmed"
    VERIFIED = "verified"
    TRAFFIC_MOVED = "promoted"
    CHECK_FAILED = "check_failed"
    """Still with the traffic, which is to be taken back."""
    ROLLED_BACK = "rolled_back"
    ENDED = "ended"


class WriteKind(StrEnum):
    """What is done to Foundry and therefore noted before it is done."""

    CREATE = "create"
    PIN = "pin"
    MOVE_TRAFFIC = "promote"
    ROLL_BACK = "rollback"


@dataclass(frozen=True, slots=True)
class PendingWrite:
    """An act that was begun and whose end nobody noted yet."""

    kind: WriteKind
    noted_at: datetime
    routing: Routing | None = None
    """What a selector change asks for."""
    highest_version: int = 0
    """The highest version number known before a create."""


@dataclass(frozen=True, slots=True)
class GoodVersion:
    """The last version that went live and passed what was asked of it."""

    push: Push
    fingerprint: str
    version: str


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One line of a record's history."""

    at: datetime
    reason: str
    digest: str
    version: str | None = None


@dataclass(frozen=True, slots=True)
class ReleaseState:
    """How far an agent's release is; written by whoever holds the lease on it."""

    observed_generation: int = 0
    """The generation of ``Wanted`` that this release answers."""
    push: Push | None = None
    fingerprint: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Secret name -> version id that the release was resolved to."""
    image: str = ""
    variables: frozenset[str] = frozenset()
    """Names of the environment variables that the candidate must have."""
    phase: Phase = Phase.ENDED
    reason: str = ""
    detail: str = ""
    started_at: datetime | None = None
    candidate: str | None = None
    is_duplicate: bool = False
    """The candidate's number was known before we asked for it: an identical version of earlier."""
    deleted_duplicate: str | None = None
    """The failed twin that was deleted so that its definition could be created once more."""
    routing_at_start: Routing | None = None
    """What served when the release began."""
    expected_routing: Routing | None = None
    """The routing as we left or accepted it; None until there is an agent."""
    routed_at: datetime | None = None
    pending_write: PendingWrite | None = None
    last_good: GoodVersion | None = None
    previous_good: GoodVersion | None = None
    """What was good before: the last resort that pruning leaves."""
    holds: tuple[Hold, ...] = ()
    image_facts: Mapping[str, ImageFacts] = field(default_factory=dict)
    """Digest -> what the registry said of it: asked once."""
    identity: str | None = None
    """What the agent ran as when it went live."""
    reported_drift: tuple[str, ...] = ()
    """What was told of changes behind our back, so that each is told once."""
    last_reported: str = ""
    """The last ``Done`` that was told, so that waiting is told once and not at every look."""
    created_at: Mapping[str, datetime] = field(default_factory=dict)
    """Version number -> created_at of the versions named here: a number that was born again is another version."""
    supersede_count: int = 0
    """How often in a row a newer wish ended a release under way."""
    create_count: int = 0
    """How many versions were asked for in this release."""
    history: tuple[HistoryEntry, ...] = ()

    @property
    def is_open(self) -> bool:
        """True while a release is under way."""
        return self.phase is not Phase.ENDED

    @property
    def blob_state(self) -> str:
        """What the blob's metadata says, so that one listing finds unfinished work."""
        return "open" if self.is_open or self.pending_write else "ended"
