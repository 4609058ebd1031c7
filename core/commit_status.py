"""Which statuses a release gives the deployment of its commit on GitHub, and the message that asks for them."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import quote

from core.reasons import Reason
from core.release_outcome import ReleaseOutcome, outcome_of
from core.source_commit import SourceCommit

MAX_AGE = timedelta(hours=12)
"""How long a message waits for GitHub; a later status would be history."""
MAX_DESCRIPTION_CHARS = 140
"""GitHub's limit (https://docs.github.com/en/rest/deployments/statuses)."""
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
class CommitDeployment:
    """A release as GitHub has it: a deployment of a commit, whose environment is the target."""

    repository: str
    """Owner and name."""
    revision: str
    target: str
    generation: int
    digest: str

    @property
    def payload(self) -> dict[str, dict[str, object]]:
        """What a deployment carries so that it is found again: one for each release."""
        return {"slipway": {"target": self.target, "generation": self.generation, "digest": self.digest}}


@dataclass(frozen=True, slots=True)
class ShownStatus:
    """A status as GitHub shows it: a reason code with its meaning, and a link; no text of others."""

    state: CommitState
    description: str
    log_url: str = ""
    deactivates_others: bool = True
    """Earlier successful deployments of the target become inactive."""


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

    def joined_with(self, later: CommitStatusMessage) -> CommitStatusMessage | None:
        """A message with the statuses of both; None where they are not of the same release."""
        if replace(later, statuses=self.statuses, traceparent=self.traceparent) != self:
            return None
        return replace(self, statuses=self.statuses + later.statuses)

    def again(self) -> CommitStatusMessage:
        """The same after one more try."""
        return replace(self, tries=self.tries + 1)

    def is_too_old(self, now: datetime) -> bool:
        """True once GitHub has not taken the statuses for so long that they are given up."""
        return now - self.statuses[-1].at > MAX_AGE

    def deployment(self, commit: SourceCommit) -> CommitDeployment:
        """The deployment of the release, at its commit."""
        return CommitDeployment(commit.repository, commit.revision, self.target, self.generation, self.digest)

    def shown(self, log_url: str | None, live: str | None) -> list[ShownStatus]:
        """The statuses as GitHub shows them; ``live`` is the version that the target runs now, where it is known.

        A success that comes late, after a newer release went live, is inactive at once and deactivates nothing.
        """
        shown = [self._shown(status, log_url, live) for status in self.statuses]
        replaced = next((item for item in shown if not item.deactivates_others), None)
        return [*shown, replace(replaced, state=CommitState.INACTIVE)] if replaced else shown

    def _shown(self, status: CommitStatus, log_url: str | None, live: str | None) -> ShownStatus:
        values = {"target": self.target, "digest": self.digest, "version": status.version, "reason": status.reason}
        link = log_url or ""
        for name, value in values.items():
            link = link.replace(f"{{{name}}}", quote(value, safe=""))
        description = f"{status.reason}: {status.reason.meaning}"[:MAX_DESCRIPTION_CHARS]
        is_live = status.state is not CommitState.SUCCESS or live in (None, status.version)
        return ShownStatus(status.state, description, link, is_live)


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


def creates_deployment(statuses: Collection[ShownStatus]) -> bool:
    """False where nothing was released: GitHub then needs no deployment."""
    return any(status.state is not CommitState.INACTIVE for status in statuses)


def missing_statuses(existing: Collection[str], wanted: Sequence[ShownStatus]) -> list[ShownStatus]:
    """The statuses that a deployment still gets: each state once, none that comes before one that it has.

    Messages are delivered twice, and in any order.
    """
    reached = max((ORDER[CommitState(state)] for state in existing if state in ORDER), default=-1)
    missing = list[ShownStatus]()
    for status in sorted(wanted, key=lambda item: ORDER[item.state]):
        if ORDER[status.state] > reached:
            missing.append(status)
            reached = ORDER[status.state]
    return missing
