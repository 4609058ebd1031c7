"""The first rows of the table: what was begun is finished before anything else, and a failed check is taken back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from core.agents_file.spec import AgentSpec
from core.definition import FINGERPRINT
from core.model import Routing, Status, Version
from core.reasons import Reason
from core.release import transitions
from core.release.actions import Action, Check, EndRelease, Poll, RollBack, UpdateState
from core.release.gates.answers import ProbeOutcome, ProbeReport
from core.release.inputs import DecisionInput, NeedsReadError
from core.state import holds
from core.state.release import Phase, ReleaseState, WriteKind

CONSISTENCY_LAG = timedelta(seconds=75)
"""How long an act may take to show: an answer that was lost may still land, and reads lag up to 30 s."""
REASON_OF = {WriteKind.PIN: Reason.PIN, WriteKind.PROMOTE: Reason.PROMOTE, WriteKind.ROLLBACK: Reason.ROLLBACK}


def noted_by_another_clock(world: DecisionInput, rule: AgentSpec, now: datetime) -> Action | None:
    """Row 2, before anything else of it: an act that began in our future counts from now: nobody waits until then."""
    doing = world.record.doing
    if doing is None or doing.since - now <= CONSISTENCY_LAG:
        return None
    return UpdateState(Reason.UNCLEAR_ANSWER, replace(world.record, doing=replace(doing, since=now)))


def unfinished_act(world: DecisionInput, rule: AgentSpec, now: datetime) -> Action | None:
    """Row 2: somebody began an act and did not note its end; look until it shows or can no more."""
    doing = world.record.doing
    if doing is None:
        return None
    settled = now - doing.since >= CONSISTENCY_LAG
    if doing.act is WriteKind.CREATE:
        ours = next((one for one in world.listed if world.is_ours(one) and int(one.number) > doing.highest), None)
        if ours is not None:
            return UpdateState(Reason.ADOPT, transitions.has_candidate(world.record, ours))
    if not settled:
        return Poll(Reason.UNCLEAR_ANSWER)
    agent = world.agent
    if doing.act is not WriteKind.CREATE and agent is not None and agent.routing == doing.to:
        return UpdateState(
            REASON_OF[doing.act], transitions.routed(world.record, agent.routing, doing.act, doing.since)
        )
    return UpdateState(Reason.DID_NOT_LAND, transitions.not_landed(world.record))


def own_change_not_visible(world: DecisionInput, rule: AgentSpec, now: datetime) -> Action | None:
    """Row 3: what differs so soon after our own change is a read that lags, not a person."""
    routed_at = world.record.routed_at
    if routed_at is not None and abs(now - routed_at) < CONSISTENCY_LAG and world.moved:
        return Poll(Reason.PROMOTE)
    return None


def promoted(world: DecisionInput, rule: AgentSpec, now: datetime) -> Action | None:
    """Row 4: finish what is promoted first, also when paused and when something newer waits."""
    record = world.record
    if record.stage is Phase.ROLLED_BACK:
        return EndRelease(
            Reason.CHECK_FAILED, transitions.ended(record, Reason.CHECK_FAILED, now, record.detail), record.detail
        )
    if record.stage not in (Phase.PROMOTED, Phase.CHECK_FAILED):
        return None
    if world.agent is None or world.agent.routing.pinned != record.candidate:
        return EndRelease(Reason.ROUTING_CHANGED, transitions.ended(record, Reason.ROUTING_CHANGED, now))
    if record.stage is Phase.CHECK_FAILED:
        return _take_back(world, now)  # whoever saw it fail did not live to take the traffic back
    if rule.release.check:
        return Check(record.candidate or "", tuple(number for way in _ways(record) for number in _names(way)))
    return EndRelease(Reason.LIVE, transitions.live(record, world.agent.identity, now))


def after_check(world: DecisionInput, rule: AgentSpec, proof: ProbeReport, now: datetime) -> Action:
    """What the answers of the check mean: live and good, taken back with a hold, or live and not known."""
    if proof.outcome is ProbeOutcome.PASSED:
        return EndRelease(
            Reason.LIVE, transitions.live(world.record, world.agent.identity if world.agent else None, now)
        )
    if proof.outcome is not ProbeOutcome.FAILED:
        reason = Reason.CHECK_INCONCLUSIVE
        return EndRelease(reason, transitions.ended(world.record, reason, now, proof.detail), proof.detail)
    held = transitions.held(world.record, Reason.CHECK_FAILED, proof.detail, rule.release.hold_for, now)
    record = replace(held, stage=Phase.CHECK_FAILED)
    try:
        return _take_back(replace(world, record=record), now)
    except NeedsReadError:
        return UpdateState(Reason.CHECK_FAILED, record)  # the way back is still to be read: row 4 asks for it


def _take_back(world: DecisionInput, now: datetime) -> Action:
    """Back to what served before, or to the last good one; in one write with the hold."""
    record = world.record
    way = next((way for way in _ways(record) if all(_serves(world, number, now) for number in _names(way))), None)
    if way is None:
        reason = Reason.CHECK_FAILED_NO_WAY_BACK
        return EndRelease(reason, transitions.ended(record, reason, now, record.detail), record.detail)
    return RollBack(way, record, world.agent.routing if world.agent else None)


def _ways(record: ReleaseState) -> Iterator[Routing]:
    """What served when the release began, then the last good version; never the candidate itself."""
    ways: list[Routing | None] = [record.back, Routing.to(record.good.version) if record.good else None]
    for way in ways:
        if way is not None and not way.follows_latest and not way.names(record.candidate or ""):
            yield way


def _names(way: Routing) -> tuple[str, ...]:
    return tuple(rule.version for rule in way.rules)


def _serves(world: DecisionInput, number: str, now: datetime) -> bool:
    """True for a version that can take traffic and is not held itself."""
    version: Version | None = world.version(number)
    if version is None or version.status is not Status.ACTIVE:
        return False
    held = holds.active(world.wanted, world.record, now)
    return holds.of_fingerprint(held, version.metadata.get(FINGERPRINT, "")) is None
