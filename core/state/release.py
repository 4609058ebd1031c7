"""ReleaseState: how far an agent's release is. Written by the holder of the agent's lease only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from core.image_manifest import ImageFacts
from core.model import Push, Routing, TaggedSecret
from core.state.desired import Hold
from core.state.evaluation import Evaluation, Score

MAX_REMEMBERED_IMAGES = 20
MAX_HISTORY_ENTRIES = 50
MAX_PROVISIONING_TIMES = 20


class Phase(StrEnum):
    """How far a release is; what a phase names is never done again."""

    STARTED = "started"
    CONFIRMED = "confirmed"
    VERIFIED = "verified"
    EVALUATED = "evaluated"
    TRAFFIC_MOVED = "traffic_moved"
    CHECK_FAILED = "check_failed"
    """The candidate still has the traffic; it must be rolled back."""
    ROLLED_BACK = "rolled_back"
    ENDED = "ended"


WITHOUT_TRAFFIC = frozenset({Phase.CONFIRMED, Phase.VERIFIED, Phase.EVALUATED})
"""The phases of an active candidate whose traffic has not moved yet."""


class WriteKind(StrEnum):
    """A write to Foundry; each is saved in the release state before it is sent."""

    CREATE = "create"
    PIN = "pin"
    MOVE_TRAFFIC = "move_traffic"
    ROLL_BACK = "roll_back"
    DELETE_DUPLICATE = "delete_duplicate"


@dataclass(frozen=True, slots=True)
class PendingWrite:
    """A write to Foundry that may have been sent and whose result is not known yet."""

    kind: WriteKind
    noted_at: datetime
    routing: Routing | None = None
    """The routing that the write asks for; None for a create and a delete."""
    highest_version: int = 0
    """The highest version number known before a create."""
    seen_at: datetime | None = None
    """When a read first showed the routing in effect: a later change comes from outside."""


@dataclass(frozen=True, slots=True)
class GoodVersion:
    """A version that went live and passed its check."""

    push: Push
    fingerprint: str
    version: str
    tagged: Mapping[str, TaggedSecret] = field(default_factory=dict)
    """Variable -> the secret whose tags gave it; no value."""
    rollback_at: datetime | None = None
    """The time of the rollback that gave its definition."""
    parts: tuple[tuple[str, str], ...] = ()
    """What it was created from, see ``core.definition.plain_parts``; empty where that is not known."""
    scores: tuple[Score, ...] = ()
    """How well it answered the dataset that ``scores_key`` names, see ``Evaluation.key``."""
    scores_key: str = ""
    signer: str = ""
    """Who signed its image, where that was verified."""
    since: datetime | None = None
    """Since when its image is the good one, without interruption."""


@dataclass(frozen=True, slots=True)
class DeletedVersion:
    """A version that is deleted; a recreated agent counts from 1 again, so the number alone does not name it."""

    version: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One ended release."""

    at: datetime
    reason: str
    digest: str
    version: str | None = None


@dataclass(frozen=True, slots=True)
class ReleaseState:
    """How far an agent's release is."""

    observed_generation: int = 0
    """The generation of the desired state that this release answers."""
    push: Push | None = None
    fingerprint: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Secret name -> version id that the definition was resolved with."""
    secret_ids: tuple[str, ...] | None = None
    """``name@version`` of every secret whose value the definition has; None where nobody noted them."""
    tagged: Mapping[str, TaggedSecret] = field(default_factory=dict)
    """Variable -> the secret whose tags gave it; no value."""
    image: str = ""
    copied_from: str = ""
    """The version whose definition this is, with newer secrets; empty where agents.yaml gives it."""
    rollback_at: datetime | None = None
    """The time of the rollback that gave the definition."""
    variables: frozenset[str] = frozenset()
    """Names of the environment variables that the candidate must have."""
    parts: tuple[tuple[str, str], ...] = ()
    """The definition as it may be stored, see ``core.definition.plain_parts``."""
    phase: Phase = Phase.ENDED
    reason: str = ""
    detail: str = ""
    started_at: datetime | None = None
    candidate: str | None = None
    has_older_candidate: bool = False
    """An earlier release of the same definition made the candidate."""
    is_duplicate: bool = False
    """Foundry answered the create with an older version of the identical definition."""
    deleted_duplicate: DeletedVersion | None = None
    """A failed duplicate that was deleted so that its definition could be created once more."""
    routing_at_start: Routing | None = None
    expected_routing: Routing | None = None
    """The routing as Slipway set or accepted it; None until there is an agent."""
    routed_at: datetime | None = None
    pending_write: PendingWrite | None = None
    last_good: GoodVersion | None = None
    previous_good: GoodVersion | None = None
    """The good version before ``last_good``; pruning keeps both."""
    holds: tuple[Hold, ...] = ()
    """Set by Slipway after a failed verify or check."""
    image_facts: Mapping[str, ImageFacts] = field(default_factory=dict)
    """Digest -> what the registry said of it, so that it is asked once."""
    identity: str | None = None
    """The principal id that the agent ran as when it went live."""
    reported_drift: tuple[str, ...] = ()
    """Changes from outside that were reported, so that each is reported once."""
    reported: tuple[str, ...] = ()
    """What was reported for the newest generation, so that each is reported once."""
    created_at: Mapping[str, datetime] = field(default_factory=dict)
    """Version number -> its creation time, for the versions named here: a recreated agent counts from 1 again."""
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    """Version number -> the fingerprint that it was created for: a list may not show a new version yet."""
    secret_due: datetime | None = None
    """When a version of a secret starts that the last definition could not use yet: the agent is released again."""
    resumes_at: datetime | None = None
    """When the message is due with which a release goes on that waits for its window."""
    supersede_count: int = 0
    """How many releases in a row ended because a newer change replaced them."""
    evaluation: Evaluation | None = None
    """How far the evaluation of the candidate is."""
    create_count: int = 0
    """How many versions this release asked for."""
    signer: str = ""
    """Who signed the image, where that was verified."""
    provisioning_seconds: tuple[float, ...] = ()
    """How long the target's last versions took to become active, the newest last."""
    image_retried: bool = False
    """A version failed because Foundry could not pull a fresh image, and another one was asked for."""
    history: tuple[HistoryEntry, ...] = ()

    @property
    def signers(self) -> dict[str, str]:
        """Version number -> who signed its image, of the good versions where that was verified."""
        good = (self.previous_good, self.last_good)
        return {item.version: item.signer for item in good if item is not None and item.signer}

    @property
    def is_open(self) -> bool:
        """True while a release is under way."""
        return self.phase is not Phase.ENDED

    @property
    def known_generation(self) -> int:
        """The newest generation that a run has answered, or reported something of."""
        return max(self.observed_generation, *(int(key.partition(" ")[0]) for key in self.reported), 0)

    @property
    def noted_secrets(self) -> tuple[str, ...] | None:
        """The secrets whose values the version under release may repeat; None where they are not known."""
        return self.secret_ids if self.fingerprint else ()

    @property
    def blob_state(self) -> str:
        """The blob's metadata, so that one listing finds unfinished work."""
        return "open" if self.is_open or self.pending_write else "ended"
