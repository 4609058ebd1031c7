"""Outcomes of releases, how long they took, and since when a release should have ended."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from core.reasons import Reason
from core.state.desired import DesiredState
from core.state.release import WITHOUT_TRAFFIC, HistoryEntry, ReleaseState


class ReleaseOutcome(StrEnum):
    """How a release ended."""

    LIVE = "live"
    FAILED = "failed"
    ROLLED_BACK = "rolled_back"
    SUPERSEDED = "superseded"
    SKIPPED = "skipped"
    """Nothing was to be released, or nothing that may be released."""


OUTCOMES = {
    Reason.LIVE: ReleaseOutcome.LIVE,
    Reason.CHECK_INCONCLUSIVE: ReleaseOutcome.LIVE,
    Reason.CHECK_FAILED: ReleaseOutcome.ROLLED_BACK,
    Reason.SUPERSEDED: ReleaseOutcome.SUPERSEDED,
}
FAILURES = frozenset({ReleaseOutcome.FAILED, ReleaseOutcome.ROLLED_BACK})


def outcome_of(reason: Reason) -> ReleaseOutcome:
    """The outcome of a release that ended with this reason."""
    if reason in OUTCOMES:
        return OUTCOMES[reason]
    return ReleaseOutcome.FAILED if reason.severity == "error" else ReleaseOutcome.SKIPPED


def time_to_restore(history: Sequence[HistoryEntry]) -> timedelta | None:
    """From the first failure after the previous LIVE to the release that just went live; None without a failure."""
    *earlier, last = history
    failed_at: datetime | None = None
    for entry in reversed(earlier):
        outcome = outcome_of(Reason[entry.reason])
        if outcome is ReleaseOutcome.LIVE:
            break
        failed_at = entry.at if outcome in FAILURES else failed_at
    return last.at - failed_at if failed_at else None


def seconds_since(moment: datetime | None, now: datetime) -> float | None:
    """Seconds from a moment to now, at least 0, because a service's clock may be ahead of ours."""
    return round(max(0.0, (now - moment).total_seconds()), 3) if moment else None


def awaits_approval(release: ReleaseState) -> bool:
    """True while the open release waits for a person, which it reports once."""
    return release.is_open and _has_reported(release, Reason.APPROVAL_WAITING) and not awaits_window(release)


def awaits_window(release: ReleaseState) -> bool:
    """True once the open release has waited for its window, until its traffic moves."""
    return release.phase in WITHOUT_TRAFFIC and _has_reported(release, Reason.WINDOW_CLOSED)


def _has_reported(release: ReleaseState, reason: Reason) -> bool:
    """True where the reason was reported for the candidate."""
    return any(key.endswith(f" {reason} {release.candidate or ''}") for key in release.reported)


def unfinished_since(desired: DesiredState, release: ReleaseState, now: datetime) -> datetime | None:
    """Since when a release should have ended; None if none is due, or if it waits for a person or its window."""
    if (desired.pause is not None and desired.pause.is_active(now)) or awaits_approval(release):
        return None
    if awaits_window(release) and release.resumes_at is not None:
        return release.resumes_at if release.resumes_at <= now else None
    if release.is_open:
        return release.started_at
    observed = release.observed_generation
    due = desired.updated_at if observed < desired.due_generation else desired.not_before or desired.updated_at
    return due if desired.generation > observed and due is not None and due <= now else None
