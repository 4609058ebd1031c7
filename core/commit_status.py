"""Which statuses a release gives the deployment of its commit on GitHub, and the message that asks for them."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from core.reasons import Reason
from core.release_outcome import ReleaseOutcome, outcome_of

MAX_AGE = timedelta(hours=12)
"""How long a message waits for GitHub; a status that comes later tells nobody anything."""
MAX_STATUSES = 10
"""Of one message: Slipway's own have three at most."""
STEPS = frozenset({Reason.ADOPT, Reason.CREATE, Reason.CONFIRM_PASSED, Reason.TRAFFIC_MOVED})


class CommitState(StrEnum):
    """A state of a deployment on GitHub, in the order in which a deployment has them."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    SUCCESS = "success"
    FAILURE = "failure"
    INACTIVE = "inactive"


ORDER = {
    CommitState.QUEUED: 0,
    CommitState.IN_PROGRESS: 1,
    CommitState.SUCCESS: 2,
    CommitState.FAILURE: 2,
    CommitState.INACTIVE: 3,
}
ENDS = {
    ReleaseOutcome.LIVE: CommitState.SUCCESS,
    ReleaseOutcome.FAILED: CommitState.FAILURE,
    ReleaseOutcome.ROLLED_BACK: CommitState.FAILURE,
    ReleaseOutcome.SUPERSEDED: CommitState.INACTIVE,
    ReleaseOutcome.SKIPPED: CommitState.INACTIVE,
}


def state_of_step(reason: Reason) -> CommitState | None:
    """The state that a release has after this decision; None where it stays as it was."""
    if reason is Reason.BEGIN:
        return CommitState.QUEUED
    return CommitState.IN_PROGRESS if reason in STEPS else None


def state_of_end(reason: Reason) -> CommitState | None:
    """The state of a release that ended so; what is live already has its status from before."""
    return None if reason is Reason.ALREADY_LIVE else ENDS[outcome_of(reason)]


@dataclass(frozen=True, slots=True)
class CommitStatus:
    """One status, and the decision that it follows from."""

    state: CommitState
    reason: Reason
    at: datetime
    version: str = ""


@dataclass(frozen=True, slots=True)
class CommitStatusMessage:
    """A message of the queue ``commit-statuses``: statuses of one release, in their order."""

    target: str
    repository: str
    """Of the image, in the registry."""
    digest: str
    generation: int
    """With target and digest, the release."""
    statuses: tuple[CommitStatus, ...]
    source: str = ""
    """What the release knows of the image's labels; empty where it knows nothing."""
    revision: str = ""
    tries: int = 0
    """How often GitHub, or what else is needed, did not answer."""
    traceparent: str | None = None

    def to_json(self) -> str:
        """The message's text."""
        return json.dumps(asdict(self), default=datetime.isoformat)

    @classmethod
    def from_json(cls, text: str) -> CommitStatusMessage | None:
        """Read a message, whatever else it carries; None where it is not one."""
        try:
            return _message(json.loads(text))
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return None

    def again(self) -> CommitStatusMessage:
        """The same after one more try."""
        return replace(self, tries=self.tries + 1)

    def is_too_old(self, now: datetime) -> bool:
        """True where nobody waits for these statuses any more."""
        return now - self.statuses[0].at > MAX_AGE


def _message(body: dict[str, Any]) -> CommitStatusMessage | None:
    texts = {name: body[name] for name in ("target", "repository", "digest", "source", "revision")}
    numbers = {name: body[name] for name in ("generation", "tries")}
    statuses = tuple(_status(item) for item in body["statuses"])
    traceparent = body.get("traceparent")
    well_typed = all(type(text) is str for text in texts.values()) and all(type(n) is int for n in numbers.values())
    if not well_typed or not texts["target"] or not 0 < len(statuses) <= MAX_STATUSES:
        return None
    return CommitStatusMessage(
        **texts, **numbers, statuses=statuses, traceparent=traceparent if isinstance(traceparent, str) else None
    )


def _status(item: dict[str, Any]) -> CommitStatus:
    at = datetime.fromisoformat(item["at"])
    if at.tzinfo is None:
        raise ValueError("a time without a zone")
    return CommitStatus(CommitState(item["state"]), Reason[item["reason"]], at, str(item.get("version", ""))[:20])


def creates_deployment(statuses: Collection[CommitStatus]) -> bool:
    """False where all that is known is that nothing was released."""
    return any(status.state is not CommitState.INACTIVE for status in statuses)


def missing_statuses(existing: Collection[str], wanted: Sequence[CommitStatus]) -> list[CommitStatus]:
    """The statuses that a deployment still gets: each state once, none that comes before one that it has.

    Messages are delivered twice, and in any order.
    """
    reached = max((ORDER[CommitState(state)] for state in existing if state in ORDER), default=-1)
    missing = list[CommitStatus]()
    for status in sorted(wanted, key=lambda item: ORDER[item.state]):
        if ORDER[status.state] > reached:
            missing.append(status)
            reached = ORDER[status.state]
    return missing
