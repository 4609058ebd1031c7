"""The later rows of the table: one candidate on its way from nothing to live."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from core.agents_file.spec import AgentSpec
from core.definition import UnresolvedDefinition, own_variables
from core.model import NO_TIME, Status, Version
from core.reasons import Reason, from_service
from core.release import transitions
from core.release.actions import (
    Action,
    ConfirmActive,
    Create,
    DeleteDuplicate,
    EndRelease,
    MoveTraffic,
    Poll,
    StartRelease,
    Stop,
    UpdateState,
    Verify,
)
from core.release.gates.answers import ProbeOutcome, ProbeReport
from core.release.inputs import DecisionInput, NeedsReadError, may_serve
from core.release.rules_pending_write import CONSISTENCY_LAG
from core.state import holds
from core.state.release import Phase, ReleaseState, WriteKind


def adopt(world: DecisionInput, rule: AgentSpec, now: datetime) -> Action | None:
    """Row 16: a version with this fingerprint is there already: a crash lost its receipt, or it served before."""
    if world.record.candidate is not None:
        return None
    for listed in (one for one in world.listed if world.is_ours(one)):
        version = world.version(listed.number)
        if version is not None and may_serve(version):
            return UpdateState(Reason.ADOPT, transitions.has_candidate(world.record, version))
    return None


def create(world: DecisionInput, rule: AgentSpec, now: datetime) -> Action | None:
    """Row 18: there is no such version: ask for one."""
    if world.record.candidate is not None:
        return None
    if isinstance(world.resolved, UnresolvedDefinition):
        reason, detail = world.resolved.reason, world.resolved.detail
        return EndRelease(reason, transitions.ended(world.record, reason, now, detail), detail)
    if world.resolved.fingerprint != world.record.fingerprint:
        # agents.yaml was deployed anew since this release began: what would be made now is another definition. It
        # answers no newer wish by that, and has been overtaken as often as before.
        record, before = world.record, replace(world.record, stage=Phase.ENDED)
        again = transitions.begun(before, record.seen, record.push, world.resolved, record.back, now)
        return StartRelease(replace(again, overtaken=record.overtaken))
    agent = world.agent
    known = [int(version.number) for version in world.listed]
    known += [int(agent.latest.number)] if agent and agent.latest else []
    live, routing = (agent.live, agent.routing) if agent else (None, None)
    return Create(max(known, default=0), live, routing)


def gone(world: DecisionInput, rule: AgentSpec, now: datetime) -> Action | None:
    """Row 19: somebody deleted the candidate."""
    version = world.version(_candidate(world))
    if version is not None and version.status not in (Status.DELETING, Status.DELETED):
        return None
    if version is None and now - world.record.born[_candidate(world)] < CONSISTENCY_LAG:
        return Poll(Reason.CREATE, _candidate(world))  # just created: reads lag
    if world.record.twin and world.record.cleared is None:
        return UpdateState(
            Reason.CLEAR_TWIN, transitions.cleared(world.record)
        )  # whoever deleted it did what we wanted to
    return EndRelease(Reason.CANDIDATE_GONE, transitions.ended(world.record, Reason.CANDIDATE_GONE, now))


def creating(world: DecisionInput, rule: AgentSpec, now: datetime) -> Action | None:
    """Row 20: Foundry is at work, by its own clock, since ours may be wrong; an unknown status is waited for too."""
    version = _seen(world)
    if version.status not in (Status.CREATING, Status.UNKNOWN):
        return None
    undated = version.created_at == NO_TIME
    took = now - (world.record.begun_at or now) if undated else (version.told_at or now) - version.created_at
    if took >= rule.release.provision_within:
        return EndRelease(Reason.TIMED_OUT, transitions.ended(world.record, Reason.TIMED_OUT, now))
    return Poll(Reason.CREATE, version.number)


def failed(world: DecisionInput, rule: AgentSpec, now: datetime) -> Action | None:
    """Row 21: Foundry gave up; a twin of earlier is cleared away once, so that this push gets a try of its own."""
    version = _seen(world)
    if version.status is not Status.FAILED:
        return None
    serves = world.agent is not None and world.agent.routing.pinned == version.number
    if world.record.twin and world.record.cleared is None and not serves:
        return DeleteDuplicate(version.number)
    code, message = (version.failure.code, version.failure.message) if version.failure else ("", "")
    detail = f"{code}: {message}" if code else "Foundry gave no reason"
    return EndRelease(from_service(code), transitions.ended(world.record, from_service(code), now, detail), detail)


def confirm(world: DecisionInput, rule: AgentSpec, now: datetime) -> Action | None:
    """Row 22: active once is not active: a second read, to be compared with what was meant."""
    return ConfirmActive(_seen(world)) if world.record.stage is Phase.BEGUN else None


def held_meanwhile(world: DecisionInput, rule: AgentSpec, now: datetime) -> Action | None:
    """Row 23, before anything else of it: a person held the image, or this very definition, while it was made."""
    record, found = world.record, holds.active(world.wanted, world.record, now)
    hold = holds.of_fingerprint(found, record.fingerprint) or holds.of_digest(
        found, record.push.digest if record.push else ""
    )
    if hold is None:
        return None
    detail = f"{hold.reason} by {hold.by}: {hold.detail}"
    return EndRelease(Reason.HELD, transitions.ended(record, Reason.HELD, now, detail), detail)


def unproven(world: DecisionInput, rule: AgentSpec, now: datetime) -> Action | None:
    """Row 23: ask the candidate while it has no traffic."""
    return Verify(_candidate(world)) if rule.release.verify and world.record.stage is Phase.CONFIRMED else None


def after_verify(world: DecisionInput, rule: AgentSpec, proof: ProbeReport, now: datetime) -> Action:
    """What the answers mean: on to the traffic, a hold, or the end without one where nothing is known."""
    if proof.outcome is ProbeOutcome.PASSED:
        return UpdateState(Reason.VERIFY, transitions.verified(world.record))
    reason, record = NOT_VERIFIED[proof.outcome], world.record
    if proof.outcome is ProbeOutcome.FAILED:
        record = transitions.held(record, reason, proof.detail, rule.release.hold_for, now)
    return EndRelease(reason, transitions.ended(record, reason, now, proof.detail), proof.detail)


NOT_VERIFIED = {
    ProbeOutcome.FAILED: Reason.VERIFY_FAILED,
    ProbeOutcome.FORBIDDEN: Reason.VERIFY_FORBIDDEN,
    ProbeOutcome.DISABLED: Reason.AGENT_DISABLED,
    ProbeOutcome.INCONCLUSIVE: Reason.VERIFY_INCONCLUSIVE,
}


def unapproved(world: DecisionInput, rule: AgentSpec, now: datetime) -> Action | None:
    """Row 24: in mode ``manual`` a person must have approved this very version with this very fingerprint.

    The mode may have become ``notify`` by a deployment since the release began: then it goes no further.
    """
    approved, record = world.wanted.approved, world.record
    if rule.release.mode == "notify":
        return EndRelease(Reason.WOULD_RELEASE, transitions.ended(record, Reason.WOULD_RELEASE, now))
    named = (approved.version, approved.fingerprint) if approved else None
    waits = rule.release.mode == "manual" and named != (record.candidate, record.fingerprint)
    return Stop(Reason.AWAITING_APPROVAL) if waits else None


def serves(world: DecisionInput, rule: AgentSpec, now: datetime) -> Action | None:
    """Row 25: the traffic is there already."""
    agent = world.agent
    if agent is None or agent.routing.pinned != world.record.candidate:
        return None
    return UpdateState(Reason.PROMOTE, transitions.routed(world.record, agent.routing, WriteKind.PROMOTE, now))


def promote(world: DecisionInput, rule: AgentSpec, now: datetime) -> Action | None:
    """Row 26: move the traffic."""
    agent = world.agent
    return MoveTraffic(_candidate(world), agent.routing) if agent else Poll(Reason.CREATE)


def mismatch(record: ReleaseState, version: Version) -> str | None:
    """How an active candidate differs from what was asked for, or None; the platform may have added variables."""
    if version.image != record.image:
        return f"image {version.image} instead of {record.image}"
    there, meant = own_variables(version.variables), own_variables(record.variables)
    if there != meant:
        return f"variables {', '.join(sorted(there ^ meant))} differ"
    return None


def _candidate(world: DecisionInput) -> str:
    return world.record.candidate or ""


def _seen(world: DecisionInput) -> Version:
    version = world.version(_candidate(world))
    if version is None:  # pragma: no cover - row 19 answered that
        raise NeedsReadError("version", _candidate(world))
    return version
