"""What is counted and measured; every name stands in docs/reference/telemetry.md, and few values per attribute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from core import release_outcome
from core.model import Status, Version
from core.reasons import Reason
from core.release_outcome import ReleaseOutcome, outcome_of, seconds_since
from core.state.desired import Cause
from core.state.release import ReleaseState
from handlers.telemetry import otel

SECONDS = "s"
USUAL = (Status.CREATING, Status.ACTIVE, Status.FAILED)


def release_ended(agent: str, reason: Reason, release: ReleaseState, cause: Cause | None, now: datetime) -> None:
    """One release more, and what it says about lead time (of a push alone) and time to restore."""
    came_to = outcome_of(reason)
    otel.count("releases", unit="{release}", agent=agent, outcome=came_to.value)
    if came_to is not ReleaseOutcome.LIVE:
        return
    lead = seconds_since(release.push.pushed_at if release.push else None, now)
    if lead is not None and cause is Cause.PUSH:  # a rotation releases a push that may be a year old
        otel.measure("release.lead_time", lead, unit=SECONDS, agent=agent)
    if release.history and (broken := release_outcome.time_to_restore(release.history)) is not None:
        otel.measure("release.time_to_restore", broken.total_seconds(), unit=SECONDS, agent=agent)


def version_activated(agent: str, seconds: float | None) -> None:
    """A version became active, so long after its release began."""
    if seconds is not None:
        otel.measure("version.activation.duration", seconds, unit=SECONDS, agent=agent)


def version_verified(agent: str, seconds: float) -> None:
    """A version was asked, and so long it took."""
    otel.measure("version.verify.duration", seconds, unit=SECONDS, agent=agent)


def version_counts(agent: str, found: Sequence[Version], limit: int) -> None:
    """How many versions there are by status, and how much of the limit that is."""
    none = dict.fromkeys(USUAL, 0)  # the last of a status that went must not seem to be there still
    for status, number in (none | Counter(version.status for version in found)).items():
        otel.gauge("versions", number, unit="{version}", agent=agent, status=status.value)
    otel.gauge("versions.quota", round(len(found) / limit, 4), unit="1", agent=agent)


def version_pruned(agent: str, reason: Reason) -> None:
    """A version went, or stayed although it was to go."""
    if reason is Reason.SESSIONS_ACTIVE:
        otel.count("versions.kept_for_sessions", unit="{version}", agent=agent)
    elif reason in (Reason.PRUNED_STALE, Reason.PRUNED_FAILED):
        otel.count("versions.pruned", unit="{version}", agent=agent)


def holds_and_approval(agent: str, holds: int, approval: float) -> None:
    """What holds an agent up: how many holds, and for how long a version waits for a person (0: none does)."""
    otel.gauge("holds", holds, unit="{hold}", agent=agent)
    otel.gauge("approval.waiting", approval, unit=SECONDS, agent=agent)


def oldest_unfinished(seconds: float) -> None:
    """The age of the oldest release that should have ended; 0 where there is none."""
    otel.gauge("release.oldest_unfinished", seconds, unit=SECONDS)


def queue_depth(name: str, messages: int) -> None:
    """About how many messages a queue has."""
    otel.gauge("queue.depth", messages, unit="{message}", queue=name)


def message_poisoned(queue: str) -> None:
    """A message failed five times."""
    otel.count("queue.poisoned", unit="{message}", queue=queue)


def heartbeat() -> None:
    """The timer ran to its end."""
    otel.count("heartbeat", unit="{run}")
