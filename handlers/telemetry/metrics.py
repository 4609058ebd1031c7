"""Counters, histograms and gauges; docs/reference/telemetry.md lists every name, and each attribute has few values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from core import release_outcome
from core.model import Status, Version
from core.prune.retention import PRUNED
from core.reasons import Reason
from core.release_outcome import ReleaseOutcome, outcome_of, seconds_since
from core.state.desired import Cause
from core.state.release import ReleaseState
from handlers.telemetry import otel

SECONDS = "s"
_not_zero: set[tuple[str, str]] = set()
"""The gauges that this process measured last as something else than 0."""
USUAL_STATUSES = (Status.CREATING, Status.ACTIVE, Status.FAILED)


def release_ended(agent: str, reason: Reason, release: ReleaseState, cause: Cause | None, now: datetime) -> None:
    """Count a release, and measure its lead time (of a push only) and time to restore."""
    outcome = outcome_of(reason)
    otel.count("releases", unit="{release}", agent=agent, outcome=outcome.value)
    if outcome is not ReleaseOutcome.LIVE:
        return
    lead = seconds_since(release.push.pushed_at if release.push else None, now)
    if lead is not None and cause is Cause.PUSH:  # a rotation releases a push that may be a year old
        otel.measure("release.lead_time", lead, unit=SECONDS, agent=agent)
    if release.history and (broken := release_outcome.time_to_restore(release.history)) is not None:
        otel.measure("release.time_to_restore", broken.total_seconds(), unit=SECONDS, agent=agent)


def version_activated(agent: str, seconds: float | None) -> None:
    """Measure how long after its release began a version became active."""
    if seconds is not None:
        otel.measure("version.activation.duration", seconds, unit=SECONDS, agent=agent)


def version_verified(agent: str, seconds: float) -> None:
    """Measure how long the verification of a version took."""
    otel.measure("version.verify.duration", seconds, unit=SECONDS, agent=agent)


def version_counts(agent: str, versions: Sequence[Version], limit: int) -> None:
    """Set the number of versions by status, and their share of the limit."""
    zeros = dict.fromkeys(USUAL_STATUSES, 0)  # or the last version of a status would seem to exist for ever
    for status, number in (zeros | Counter(version.status for version in versions)).items():
        otel.gauge("versions", number, unit="{version}", agent=agent, status=status.value)
    otel.gauge("versions.quota", round(len(versions) / limit, 4), unit="1", agent=agent)


def version_pruned(agent: str, reason: Reason) -> None:
    """Count a version that was deleted, or that sessions protected."""
    if reason is Reason.SESSIONS_ACTIVE:
        otel.count("versions.kept_for_sessions", unit="{version}", agent=agent)
    elif reason in PRUNED:
        otel.count("versions.pruned", unit="{version}", agent=agent)


def holds_and_approval(agent: str, holds: int, approval: float) -> None:
    """Set how many holds an agent has, and how long a version has waited for approval (0: none waits)."""
    _unless_still_zero("holds", holds, "{hold}", agent)
    _unless_still_zero("approval.waiting", approval, SECONDS, agent)


def _unless_still_zero(name: str, value: float, unit: str, agent: str) -> None:
    """Set a gauge that is 0 for nearly every agent, where it is not, or no longer: every measurement is paid for."""
    if value or (name, agent) in _not_zero:
        otel.gauge(name, value, unit=unit, agent=agent)
    (_not_zero.add if value else _not_zero.discard)((name, agent))


def oldest_unfinished(seconds: float) -> None:
    """Set the age of the oldest release that should have ended; 0 where there is none."""
    otel.gauge("release.oldest_unfinished", seconds, unit=SECONDS)


def queue_depth(name: str, messages: int) -> None:
    """Set the approximate number of messages in a queue."""
    otel.gauge("queue.depth", messages, unit="{message}", queue=name)


def message_poisoned(queue: str) -> None:
    """Count a message that failed five times."""
    otel.count("queue.poisoned", unit="{message}", queue=queue)


def heartbeat() -> None:
    """Count a timer run that reached its end."""
    otel.count("heartbeat", unit="{run}")
