"""What the release loop may be told to do next; every value but Look carries or implies a reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from core.model import Routing, Version
from core.prune.retention import Delete
from core.reasons import Reason
from core.state.release import ReleaseState

Fact = Literal["agent", "versions", "version", "wish", "resolved"]


@dataclass(frozen=True, slots=True)
class NeedsRead:
    """A row needs a fact that nobody read this turn."""

    fact: Fact
    version: str = ""
    """Which version, where the fact is one."""


@dataclass(frozen=True, slots=True)
class Poll:
    """Look again in a moment; ``for_version``: only that version and what is wanted need another look."""

    reason: Reason
    version: str = ""


@dataclass(frozen=True, slots=True)
class Requeue:
    """Give the lease back until a time."""

    reason: Reason
    until: datetime


@dataclass(frozen=True, slots=True)
class Stop:
    """There is nothing to do now; the record stays as it is."""

    reason: Reason
    detail: str = ""
    already_reported: bool = False
    """True where this was told when the release ended: it is not told again."""


@dataclass(frozen=True, slots=True)
class UpdateState:
    """The record was behind the world: remember what was seen."""

    reason: Reason
    state: ReleaseState


@dataclass(frozen=True, slots=True)
class EndRelease:
    """The release is over, with this record to remember it by."""

    reason: Reason
    state: ReleaseState
    detail: str = ""


@dataclass(frozen=True, slots=True)
class StartRelease:
    """A newer wish is taken up; the record already says so."""

    state: ReleaseState
    superseded: ReleaseState | None = None
    """The release under way that ends by this."""
    reason: Reason = Reason.BEGIN


@dataclass(frozen=True, slots=True)
class PruneForRoom:
    """Delete what may go, to have room for what is to be created."""

    deletions: tuple[Delete, ...]
    reason: Reason = Reason.MAKE_ROOM


@dataclass(frozen=True, slots=True)
class Create:
    """Ask Foundry for a version."""

    highest_version: int
    """The highest version number known: what is not above it is an old twin."""
    live_version: str | None
    """The version that serves now."""
    routing_seen: Routing | None
    """The routing that this was decided on; with any other nothing is sent. None: there is no agent yet."""
    reason: Reason = Reason.CREATE


@dataclass(frozen=True, slots=True)
class DeleteDuplicate:
    """Delete the failed twin, so that the same definition can be created once more."""

    version: str
    reason: Reason = Reason.DELETE_DUPLICATE


@dataclass(frozen=True, slots=True)
class ConfirmActive:
    """Read the active version a second time and compare it with what was meant."""

    version: Version
    reason: Reason = Reason.CONFIRM


@dataclass(frozen=True, slots=True)
class Pin:
    """Hold the traffic where it is, so that a new version takes none by itself."""

    version: str
    routing_seen: Routing | None
    reason: Reason = Reason.PIN


@dataclass(frozen=True, slots=True)
class MoveTraffic:
    """Send new sessions to the candidate."""

    version: str
    routing_seen: Routing | None
    reason: Reason = Reason.TRAFFIC_MOVED


@dataclass(frozen=True, slots=True)
class Verify:
    """Ask the candidate while it has no traffic."""

    version: str
    reason: Reason = Reason.VERIFY


@dataclass(frozen=True, slots=True)
class Check:
    """Ask the agent now that the candidate has its traffic."""

    version: str
    rollback_versions: tuple[str, ...]
    """The versions that the traffic may go back to if it fails: read while the agent is asked."""
    reason: Reason = Reason.CHECK


@dataclass(frozen=True, slots=True)
class RollBack:
    """Give the traffic back; the record already holds what failed."""

    to: Routing
    state: ReleaseState
    routing_seen: Routing | None
    reason: Reason = Reason.ROLLBACK


FoundryAction = PruneForRoom | Create | DeleteDuplicate | ConfirmActive | Pin | Verify | MoveTraffic | Check | RollBack
Action = NeedsRead | Poll | Requeue | Stop | UpdateState | EndRelease | StartRelease | FoundryAction
