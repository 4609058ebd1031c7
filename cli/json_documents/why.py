"""What ``slipway why --json`` prints."""

from __future__ import annotations

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from cli.json_documents.shared import CLOSED, Age, Hold, Image, Pause, Rejection, Rollback, Score, Severity, Time


@CLOSED
class Decision(TypedDict):
    """A decision, as the journal has it; a field that it has not is left out."""

    at: str
    """In ISO 8601 where Slipway wrote the line."""
    reason: str
    severity: NotRequired[Severity]
    agent: NotRequired[str]
    detail: NotRequired[str]
    help: NotRequired[str]
    step: NotRequired[str]
    event: NotRequired[str]
    repository: NotRequired[str]
    tag: NotRequired[str]
    digest: NotRequired[str]
    version: NotRequired[str]
    signer: NotRequired[str]
    """Who signed the image, where that was verified."""
    from_version: NotRequired[str]
    to_version: NotRequired[str]
    generation: NotRequired[int]
    took_s: NotRequired[float]
    since_push_s: NotRequired[float]
    fingerprint: NotRequired[str]
    container_log: NotRequired[str]
    report: NotRequired[str]


@CLOSED
class Problem(TypedDict):
    """The last decision about an agent, or an event without one, that needs a person."""

    at: str
    agent: NotRequired[str]
    event: NotRequired[str]
    reason: str
    severity: Severity
    detail: NotRequired[str]
    help: NotRequired[str]
    remedy: str | None


@CLOSED
class Evaluation(TypedDict):
    """The scores of a version in its release."""

    at: str
    agent: str
    version: str
    tag: str | None
    reason: Literal["EVALUATION_PASSED", "EVALUATION_FAILED"]
    scores: list[Score]


@CLOSED
class PushEntry(Image):
    """The push that an agent should run, or the last one that was good."""

    agent: str
    kind: Literal["desired", "last_good"]
    signer: NotRequired[str]
    """Who signed the image of the good version, where that was verified."""


@CLOSED
class CandidateEntry(Image):
    """The push of the release under way."""

    agent: str
    kind: Literal["candidate"]
    phase: str
    version: str | None
    signer: NotRequired[str]


@CLOSED
class WaitingEntry(Image):
    """A push that is too young (NOT_DUE), or that waits for its stage (STAGE_WAITING)."""

    agent: str
    kind: Literal["waiting"]
    reason: Literal["NOT_DUE", "STAGE_WAITING"]
    since: Time | None
    until: Time | None


@CLOSED
class RejectedEntry(Rejection):
    """The last push that was rejected."""

    agent: str
    kind: Literal["rejected"]


@CLOSED
class RolledBackEntry(Rollback):
    """A rollback in force."""

    agent: str
    kind: Literal["rolled_back"]


@CLOSED
class HoldEntry(Hold):
    """A hold on the subject."""

    agent: str
    kind: Literal["hold"]
    why: str
    """As ``detail``."""


@CLOSED
class PauseEntry(Pause):
    """A pause of the agent."""

    agent: str
    kind: Literal["pause"]


@CLOSED
class WindowEntry(TypedDict):
    """The closed window that the release waits for."""

    agent: str
    kind: Literal["window"]
    opens_at: Time
    opens: str
    """The same in the zone of the windows, with the freeze that is in force, for people."""


@CLOSED
class ReleaseEntry(TypedDict):
    """The newest release, unless it is live and settled."""

    agent: str
    kind: Literal["release"]
    state: str
    since: Time | None
    age_s: Age | None
    not_before: Time | None
    detail: str
    next: str | None
    remedy: str | None


Entry = (
    PushEntry | CandidateEntry | WaitingEntry | RejectedEntry | RolledBackEntry
    | HoldEntry | PauseEntry | WindowEntry | ReleaseEntry
)  # fmt: skip


@CLOSED
class Why(TypedDict):
    """``slipway why``."""

    decisions: list[Decision]
    """Oldest first."""
    scores: list[Evaluation]
    state: list[Entry]
    """What the state store has of the subject now."""
    problems: list[Problem]
