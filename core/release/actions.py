"""What the release loop can do next. Every action but NeedsRead carries a reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from core.agents_file.evaluation import EvaluateSpec
from core.definition import Note
from core.model import Push, Routing
from core.prune.retention import Delete
from core.reasons import Reason
from core.state.release import ReleaseState


class Read(StrEnum):
    """What a rule may need to know from outside."""

    AGENT = "agent"
    VERSION_LIST = "version_list"
    DESIRED_DEFINITION = "desired_definition"
    RELEASE_DEFINITION = "release_definition"
    RECENT_TAGS = "recent_tags"
    ALL_TAGS = "all_tags"


@dataclass(frozen=True, slots=True)
class NeedsRead:
    """A rule needs something that this pass has not read yet."""

    reads: frozenset[Read] = frozenset()
    version: str = ""
    """The number of one version to read."""
    signature_of: Push | None = None
    """The push whose signatures are to be verified."""


@dataclass(frozen=True, slots=True)
class Poll:
    """Read again in a moment; with ``version`` only that version and the desired state are read again."""

    reason: Reason
    version: str = ""
    state: ReleaseState | None = None
    """The release state with what was observed, saved before the wait; None where nothing is to be recorded."""


@dataclass(frozen=True, slots=True)
class Requeue:
    """Release the lease and continue at ``until``."""

    reason: Reason
    until: datetime
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ReplaceDesiredPush:
    """Correct the desired push, while the desired state is still of the generation that this was decided on."""

    reason: Reason
    detail: str
    generation: int
    push: Push | None = None
    """The registry's push; None where the desired push is rejected, so that the one before is desired again."""


@dataclass(frozen=True, slots=True)
class ReleaseAgain:
    """Release the agent again as after a rotation, while the desired state is still of this generation."""

    reason: Reason
    state: ReleaseState
    generation: int


@dataclass(frozen=True, slots=True)
class Stop:
    """There is nothing to do now; the release state stays as it is."""

    reason: Reason
    detail: str = ""
    already_reported: bool = False


@dataclass(frozen=True, slots=True)
class UpdateState:
    """Record what was observed, and decide again."""

    reason: Reason
    state: ReleaseState
    already_reported: bool = False
    reported_at_end: bool = False
    """The release is about to end with this reason, which is reported then."""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class EndRelease:
    """The release is over."""

    reason: Reason
    state: ReleaseState
    detail: str = ""


@dataclass(frozen=True, slots=True)
class StartRelease:
    """Start the release of a newer change; one that is under way is superseded."""

    state: ReleaseState
    reason: Reason = Reason.BEGIN
    notes: tuple[Note, ...] = ()
    """What people must know about the definition."""


@dataclass(frozen=True, slots=True)
class PruneForRoom:
    """Delete stale versions, so that one more may be created."""

    step: ClassVar[str] = "make_room"
    deletions: tuple[Delete, ...]


@dataclass(frozen=True, slots=True)
class Create:
    """Create a version."""

    step: ClassVar[str] = "create"
    highest_version: int
    """The highest version number known: Foundry's answer is a duplicate unless it is above."""
    live_version: str | None
    routing_seen: Routing | None
    """The routing that this was decided on; with another one nothing is sent. None: there is no agent yet."""
    notes: tuple[Note, ...] = ()
    """What people must know about the versions that are there."""


@dataclass(frozen=True, slots=True)
class DeleteDuplicate:
    """Delete the failed duplicate, so that the same definition can be created once more."""

    step: ClassVar[str] = "delete_duplicate"
    version: str
    routing_seen: Routing | None


@dataclass(frozen=True, slots=True)
class ConfirmActive:
    """Read the active version a second time and compare it with what was asked for."""

    step: ClassVar[str] = "confirm"
    version: str


@dataclass(frozen=True, slots=True)
class Pin:
    """Pin the traffic to the live version, so that a new version gets none when it is created."""

    step: ClassVar[str] = "pin"
    version: str
    routing_seen: Routing | None


@dataclass(frozen=True, slots=True)
class MoveTraffic:
    """Send new sessions to the candidate."""

    step: ClassVar[str] = "move_traffic"
    version: str
    routing_seen: Routing | None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Verify:
    """Ask the candidate while it has no traffic."""

    step: ClassVar[str] = "verify"
    version: str


@dataclass(frozen=True, slots=True)
class Evaluate:
    """Ask the candidate a dataset while it has no traffic, and start the run that grades its answers."""

    step: ClassVar[str] = "evaluate"
    version: str
    spec: EvaluateSpec


@dataclass(frozen=True, slots=True)
class ReadEvaluation:
    """Read how far the run is that grades the answers of the candidate; often, so that no span is written."""

    version: str
    spec: EvaluateSpec


@dataclass(frozen=True, slots=True)
class Check:
    """Ask the agent while the candidate has its traffic."""

    step: ClassVar[str] = "check"
    version: str
    rollback_versions: tuple[str, ...]
    """Versions that a rollback may go to; they are read while the agent is asked."""


@dataclass(frozen=True, slots=True)
class RollBack:
    """Send the traffic back; ``state`` already holds what failed."""

    step: ClassVar[str] = "rollback"
    to: Routing
    state: ReleaseState
    routing_seen: Routing | None

    @property
    def detail(self) -> str:
        """Where the traffic goes; CHECK_FAILED says why."""
        return describe_rollback(self.state, self.to)


def describe_rollback(state: ReleaseState, to: Routing) -> str:
    """Return from which version to which the traffic moved back."""
    return f"from version {state.candidate} to {to.described}"


FoundryWrite = Create | DeleteDuplicate | Pin | MoveTraffic | RollBack
Probe = ConfirmActive | Verify | Evaluate | Check
FoundryAction = FoundryWrite | Probe | PruneForRoom
Action = (
    NeedsRead
    | Poll
    | Requeue
    | ReplaceDesiredPush
    | ReleaseAgain
    | Stop
    | UpdateState
    | EndRelease
    | StartRelease
    | ReadEvaluation
    | FoundryAction
)

REASONS = {
    PruneForRoom: Reason.MAKE_ROOM,
    Create: Reason.CREATE,
    DeleteDuplicate: Reason.DELETE_DUPLICATE,
    ConfirmActive: Reason.CONFIRM_PASSED,
    Pin: Reason.PIN,
    MoveTraffic: Reason.TRAFFIC_MOVED,
    RollBack: Reason.ROLLBACK,
}
"""What is recorded once an action on Foundry succeeded."""
