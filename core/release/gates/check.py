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


def after_check(world: DecisionInput, rule: AgentSpec, proof: ProbeReport, now: datetime) -> Action:
    """What the answers of the check mean: live and good, taken back with a hold, or live and not known."""
    if proof.outcome is ProbeOutcome.PASSED:
        return EndRelease(
            Reason.LIVE, transitions.went_live(world.release, world.agent.identity if world.agent else None, now)
        )
    if proof.outcome is not ProbeOutcome.FAILED:
        reason = Reason.CHECK_INCONCLUSIVE
        return EndRelease(reason, transitions.ended(world.release, reason, now, proof.detail), proof.detail)
    held = transitions.held(world.release, Reason.CHECK_FAILED, proof.detail, rule.release.hold_for, now)
    record = replace(held, phase=Phase.CHECK_FAILED)
    try:
        return roll_back(replace(world, release=record), now)
    except NeedsReadError:
        return UpdateState(Reason.CHECK_FAILED, record)  # the way back is still to be read: row 4 asks for it


def roll_back(world: DecisionInput, now: datetime) -> Action:
    """Back to what served before, or to the last good one; in one write with the hold."""
    record = world.release
    way = next((way for way in _ways(record) if all(_serves(world, number, now) for number in _names(way))), None)
    if way is None:
        reason = Reason.CHECK_FAILED_NO_WAY_BACK
        return EndRelease(reason, transitions.ended(record, reason, now, record.detail), record.detail)
    return RollBack(way, record, world.agent.routing if world.agent else None)


def _ways(record: ReleaseState) -> Iterator[Routing]:
    """What served when the release began, then the last good version; never the candidate itself."""
    ways: list[Routing | None] = [record.routing_at_start, Routing.to(record.last_good.version) if record.last_good else None]
    for way in ways:
        if way is not None and not way.follows_latest and not way.routes_to(record.candidate or ""):
            yield way


def _names(way: Routing) -> tuple[str, ...]:
    return tuple(rule.version for rule in way.rules)


def _serves(world: DecisionInput, number: str, now: datetime) -> bool:
    """True for a version that can take traffic and is not held itself."""
    version: Version | None = world.version(number)
    if version is None or version.status is not Status.ACTIVE:
        return False
    held = holds.active(world.desired, world.release, now)
    return holds.of_fingerprint(held, version.metadata.get(FINGERPRINT, "")) is None
