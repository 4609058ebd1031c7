"""What releases come to, seen from outside: outcomes, how long things took, and what waits for how long."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from core.reasons import Reason, by_code
from core.state.desired import DesiredState
from core.state.release import HistoryEntry, ReleaseState


class ReleaseOutcome(StrEnum):
    """What became of a release."""

    LIVE = "live"
    FAILED = "failed"
    ROLLED_BACK = "rolled_back"
    SUPERSEDED = "superseded"
    SKIPPED = "skipped"
    """There was nothing to release, or nothing that may be."""


OUTCOMES = {
    Reason.LIVE: ReleaseOutcome.LIVE,
    Reason.CHECK_INCONCLUSIVE: ReleaseOutcome.LIVE,
    Reason.CHECK_FAILED: ReleaseOutcome.ROLLED_BACK,
    Reason.SUPERSEDED: ReleaseOutcome.SUPERSEDED,
}
BROKEN = frozenset({ReleaseOutcome.FAILED, ReleaseOutcome.ROLLED_BACK})


def outcome_of(reason: Reason) -> ReleaseOutcome:
    """What a release came to that ended with this reason."""
    if reason in OUTCOMES:
        return OUTCOMES[reason]
    return ReleaseOutcome.FAILED if reason.severity == "error" else ReleaseOutcome.SKIPPED


def time_to_restore(history: Sequence[HistoryEntry]) -> timedelta | None:
    """From the first failure since the last time live to the release that just went live; None where none failed."""
    *earlier, last = history
    broken: datetime | None = None
    for line in reversed(earlier):
        came_to = outcome_of(by_code(line.reason))
        if came_to is ReleaseOutcome.LIVE:
            break
        broken = line.at if came_to in BROKEN else broken
    return last.at - broken if broken else None


def seconds_since(moment: datetime | None, now: datetime) -> float | None:
    """Seconds from a moment to now; a service's clock may be ahead of ours."""
    return round(max(0.0, (now - moment).total_seconds()), 3) if moment else None


def awaits_approval(release: ReleaseState) -> bool:
    """True while the release under way waits for a person; the note is written when that is told."""
    return release.is_open and release.last_reported.split(" ")[1:2] == [Reason.APPROVAL_WAITING.value]


def unfinished_since(desired: DesiredState, release: ReleaseState, now: datetime) -> datetime | None:
    """Since when something should have ended; None where nothing is under way, or a person or a time is waited for."""
    paused = desired.pause is not None and (desired.pause.until is None or desired.pause.until > now)
    if paused or awaits_approval(release):
        return None
    if release.is_open:
        return release.started_at
    due = desired.not_before or desired.updated_at
    return due if desired.generation > release.observed_generation and due is not None and due <= now else None
