"""The later rows of the table: one candidate on its way from nothing to live."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from core.agents_file.spec import AgentSpec
from core.definition import UnresolvedDefinition
from core.model import NO_TIME, Status, Version
from core.reasons import Reason, from_service
from core.release import transitions
from core.release.actions import (
    Action,
    Create,
    DeleteDuplicate,
    EndRelease,
    Poll,
    StartRelease,
    UpdateState,
)
from core.release.inputs import DecisionInput, NeedsReadError, may_serve
from core.state import holds
from core.state.release import Phase
from core.timing import CONSISTENCY_LAG


def adopt_existing_version(world: DecisionInput, rule: AgentSpec, now: datetime) -> Action | None:
    """Row 16: a version with this fingerprint is there already: a crash lost its receipt, or it served before."""
    if world.release.candidate is not None:
        return None
    for listed in (one for one in world.version_list if world.is_for_this_release(one)):
        version = world.version(listed.number)
        if version is not None and may_serve(version):
            return UpdateState(Reason.ADOPT, transitions.has_candidate(world.release, version))
    return None


def create_version(world: DecisionInput, rule: AgentSpec, now: datetime) -> Action | None:
    """Row 18: there is no such version: ask for one."""
    if world.release.candidate is not None:
        return None
    if isinstance(world.release_definition, UnresolvedDefinition):
        reason, detail = world.release_definition.reason, world.release_definition.detail
        return EndRelease(reason, transitions.ended(world.release, reason, now, detail), detail)
    if world.release_definition.fingerprint != world.release.fingerprint:
        # agents.yaml was deployed anew since this release began: what would be made now is another definition. It
        # answers no newer wish by that, and has been overtaken as often as before.
        record, before = world.release, replace(world.release, phase=Phase.ENDED)
        again = transitions.started(before, record.observed_generation, record.push, world.release_definition, record.routing_at_start, now)
        return StartRelease(replace(again, supersede_count=record.supersede_count))
    agent = world.agent
    known = [int(version.number) for version in world.version_list]
    known += [int(agent.latest.number)] if agent and agent.latest else []
    live, routing = (agent.live, agent.routing) if agent else (None, None)
    return Create(max(known, default=0), live, routing)


def candidate_gone(world: DecisionInput, rule: AgentSpec, now: datetime) -> Action | None:
    """Row 19: somebody deleted the candidate."""
    version = world.version(_candidate(world))
    if version is not None and version.status not in (Status.DELETING, Status.DELETED):
        return None
    if version is None and now - world.release.created_at[_candidate(world)] < CONSISTENCY_LAG:
        return Poll(Reason.CREATE, _candidate(world))  # just created: reads lag
    if world.release.is_duplicate and world.release.deleted_duplicate is None:
        return UpdateState(
            Reason.CLEAR_TWIN, transitions.duplicate_deleted(world.release)
        )  # whoever deleted it did what we wanted to
    return EndRelease(Reason.CANDIDATE_GONE, transitions.ended(world.release, Reason.CANDIDATE_GONE, now))


def still_provisioning(world: DecisionInput, rule: AgentSpec, now: datetime) -> Action | None:
    """Row 20: Foundry is at work, by its own clock, since ours may be wrong; an unknown status is waited for too."""
    version = _seen(world)
    if version.status not in (Status.CREATING, Status.UNKNOWN):
        return None
    undated = version.created_at == NO_TIME
    took = now - (world.release.started_at or now) if undated else (version.read_at or now) - version.created_at
    if took >= rule.release.provision_within:
        return EndRelease(Reason.TIMED_OUT, transitions.ended(world.release, Reason.TIMED_OUT, now))
    return Poll(Reason.CREATE, version.number)


def provisioning_failed(world: DecisionInput, rule: AgentSpec, now: datetime) -> Action | None:
    """Row 21: Foundry gave up; a twin of earlier is cleared away once, so that this push gets a try of its own."""
    version = _seen(world)
    if version.status is not Status.FAILED:
        return None
    serves = world.agent is not None and world.agent.routing.pinned == version.number
    if world.release.is_duplicate and world.release.deleted_duplicate is None and not serves:
        return DeleteDuplicate(version.number)
    code, message = (version.failure.code, version.failure.message) if version.failure else ("", "")
    detail = f"{code}: {message}" if code else "Foundry gave no reason"
    return EndRelease(from_service(code), transitions.ended(world.release, from_service(code), now, detail), detail)


def held_meanwhile(world: DecisionInput, rule: AgentSpec, now: datetime) -> Action | None:
    """Row 23, before anything else of it: a person held the image, or this very definition, while it was made."""
    record, found = world.release, holds.active(world.desired, world.release, now)
    hold = holds.of_fingerprint(found, record.fingerprint) or holds.of_digest(
        found, record.push.digest if record.push else ""
    )
    if hold is None:
        return None
    detail = f"{hold.reason} by {hold.by}: {hold.detail}"
    return EndRelease(Reason.HELD, transitions.ended(record, Reason.HELD, now, detail), detail)


def _candidate(world: DecisionInput) -> str:
    return world.release.candidate or ""


def _seen(world: DecisionInput) -> Version:
    version = world.version(_candidate(world))
    if version is None:  # pragma: no cover - row 19 answered that
        raise NeedsReadError("version", _candidate(world))
    return version
