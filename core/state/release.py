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

    BEGUN = "begun"
    CONFIRMED = "confirmed"
    VERIFIED = "verified"
    PROMOTED = "promoted"
    CHECK_FAILED = "check_failed"
    """Still with the traffic, which is to be taken back."""
    ROLLED_BACK = "rolled_back"
    ENDED = "ended"


class WriteKind(StrEnum):
    """What is done to Foundry and therefore noted before it is done."""

    CREATE = "create"
    PIN = "pin"
    PROMOTE = "promote"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class PendingWrite:
    """An act that was begun and whose end nobody noted yet."""

    act: WriteKind
    since: datetime
    to: Routing | None = None
    """What a selector change asks for."""
    highest: int = 0
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

    seen: int = 0
    """The serial of ``Wanted`` that this release answers."""
    push: Push | None = None
    fingerprint: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Secret name -> version id that the release was resolved to."""
    image: str = ""
    variables: frozenset[str] = frozenset()
    """Names of the environment variables that the candidate must have."""
    stage: Phase = Phase.ENDED
    reason: str = ""
    detail: str = ""
    begun_at: datetime | None = None
    candidate: str | None = None
    twin: bool = False
    """The candidate's number was known before we asked for it: an identical version of earlier."""
    cleared: str | None = None
    """The failed twin that was deleted so that its definition could be created once more."""
    back: Routing | None = None
    """What served when the release began."""
    selector: Routing | None = None
    """The routing as we left or accepted it; None until there is an agent."""
    routed_at: datetime | None = None
    pending_write: PendingWrite | None = None
    good: GoodVersion | None = None
    previous: GoodVersion | None = None
    """What was good before: the last resort that pruning leaves."""
    holds: tuple[Hold, ...] = ()
    images: Mapping[str, ImageFacts] = field(default_factory=dict)
    """Digest -> what the registry said of it: asked once."""
    identity: str | None = None
    """What the agent ran as when it went live."""
    drift: tuple[str, ...] = ()
    """What was told of changes behind our back, so that each is told once."""
    told: str = ""
    """The last ``Done`` that was told, so that waiting is told once and not at every look."""
    born: Mapping[str, datetime] = field(default_factory=dict)
    """Version number -> created_at of the versions named here: a number that was born again is another version."""
    overtaken: int = 0
    """How often in a row a newer wish ended a release under way."""
    attempt: int = 0
    """How many versions were asked for in this release."""
    history: tuple[HistoryEntry, ...] = ()

    @property
    def open(self) -> bool:
        """True while a release is under way."""
        return self.stage is not Phase.ENDED

    @property
    def state(self) -> str:
        """What the blob's metadata says, so that one listing finds unfinished work."""
        return "open" if self.open or self.pending_write else "ended"
