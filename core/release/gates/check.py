"""check: asks the agent once the candidate has traffic, and rolls back when it fails."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from core.agents_file.spec import AgentSpec
from core.definition import FINGERPRINT
from core.model import Routing, Status, Version
from core.reasons import Reason
from core.release import transitions
from core.release.actions import Action, EndRelease, RollBack, UpdateState
from core.release.gates.answers import ProbeOutcome, ProbeReport
from core.release.inputs import DecisionInput, NeedsReadError
from core.state import holds
from core.state.release import Phase, ReleaseState


def after_check(inputs: DecisionInput, spec: AgentSpec, report: ProbeReport, now: datetime) -> Action:
    """What the answers of the check mean: live and good, taken back with a hold, or live and not known."""
    if report.outcome is ProbeOutcome.PASSED:
        return EndRelease(
            Reason.LIVE, transitions.went_live(inputs.release, inputs.agent.identity if inputs.agent else None, now)
        )
    if report.outcome is not ProbeOutcome.FAILED:
        reason = Reason.CHECK_INCONCLUSIVE
        return EndRelease(reason, transitions.ended(inputs.release, reason, now, report.detail), report.detail)
    held = transitions.held(inputs.release, Reason.CHECK_FAILED, report.detail, spec.release.hold_for, now)
    release = replace(held, phase=Phase.CHECK_FAILED)
    try:
        return roll_back(replace(inputs, release=release), now)
    except NeedsReadError:
        return UpdateState(Reason.CHECK_FAILED, release)  # the way back is still to be read: row 4 asks for it


def roll_back(inputs: DecisionInput, now: datetime) -> Action:
    """Back to what served before, or to the last good one; in one write with the hold."""
    release = inputs.release
    way = next((way for way in _ways(release) if all(_serves(inputs, number, now) for number in _names(way))), None)
    if way is None:
        reason = Reason.CHECK_FAILED_NO_ROLLBACK_VERSION
        return EndRelease(reason, transitions.ended(release, reason, now, release.detail), release.detail)
    return RollBack(way, release, inputs.agent.routing if inputs.agent else None)


def _ways(release: ReleaseState) -> Iterator[Routing]:
    """What served when the release began, then the last good version; never the candidate itself."""
    ways: list[Routing | None] = [
        release.routing_at_start,
        Routing.to(release.last_good.version) if release.last_good else None,
    ]
    for way in ways:
        if way is not None and not way.follows_latest and not way.routes_to(release.candidate or ""):
            yield way


def _names(way: Routing) -> tuple[str, ...]:
    return tuple(rule.version for rule in way.rules)


def _serves(inputs: DecisionInput, number: str, now: datetime) -> bool:
    """True for a version that can take traffic and is not held itself."""
    version: Version | None = inputs.version(number)
    if version is None or version.status is not Status.ACTIVE:
        return False
    held = holds.active(inputs.desired, inputs.release, now)
    return holds.of_fingerprint(held, version.metadata.get(FINGERPRINT, "")) is None
