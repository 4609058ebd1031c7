"""The later rows of the table: one candidate on its way from nothing to live."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from core.agents_file.spec import AgentSpec
from core.definition import UnresolvedDefinition
from core.model import UNKNOWN_TIME, Status, Version
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


def adopt_existing_version(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Row 16: a version with this fingerprint is there already: a crash lost its receipt, or it served before."""
    if inputs.release.candidate is not None:
        return None
    for listed in (one for one in inputs.version_list if inputs.is_for_this_release(one)):
        version = inputs.version(listed.number)
        if version is not None and may_serve(version):
            return UpdateState(Reason.ADOPT, transitions.has_candidate(inputs.release, version))
    return None


def create_version(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Row 18: there is no such version: ask for one."""
    if inputs.release.candidate is not None:
        return None
    if isinstance(inputs.release_definition, UnresolvedDefinition):
        reason, detail = inputs.release_definition.reason, inputs.release_definition.detail
        return EndRelease(reason, transitions.ended(inputs.release, reason, now, detail), detail)
    if inputs.release_definition.fingerprint != inputs.release.fingerprint:
        # agents.yaml was deployed anew since this release began: what would be made now is another definition. It
        # answers no newer wish by that, and has been overtaken as often as before.
        release, before = inputs.release, replace(inputs.release, phase=Phase.ENDED)
        again = transitions.started(
            before, release.observed_generation, release.push, inputs.release_definition, release.routing_at_start, now
        )
        return StartRelease(replace(again, supersede_count=release.supersede_count))
    agent = inputs.agent
    known = [int(version.number) for version in inputs.version_list]
    known += [int(agent.latest.number)] if agent and agent.latest else []
    live, routing = (agent.live, agent.routing) if agent else (None, None)
    return Create(max(known, default=0), live, routing)


def candidate_gone(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Row 19: somebody deleted the candidate."""
    version = inputs.version(_candidate(inputs))
    if version is not None and version.status not in (Status.DELETING, Status.DELETED):
        return None
    if version is None and now - inputs.release.created_at[_candidate(inputs)] < CONSISTENCY_LAG:
        return Poll(Reason.CREATE, _candidate(inputs))  # just created: reads lag
    if inputs.release.is_duplicate and inputs.release.deleted_duplicate is None:
        return UpdateState(
            Reason.DELETE_DUPLICATE, transitions.duplicate_deleted(inputs.release)
        )  # whoever deleted it did what we wanted to
    return EndRelease(Reason.CANDIDATE_GONE, transitions.ended(inputs.release, Reason.CANDIDATE_GONE, now))


def still_provisioning(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Row 20: Foundry is at work, by its own clock, since ours may be wrong; an unknown status is waited for too."""
    version = _seen(inputs)
    if version.status not in (Status.CREATING, Status.UNKNOWN):
        return None
    undated = version.created_at == UNKNOWN_TIME
    took = now - (inputs.release.started_at or now) if undated else (version.read_at or now) - version.created_at
    if took >= spec.release.provision_within:
        return EndRelease(Reason.TIMED_OUT, transitions.ended(inputs.release, Reason.TIMED_OUT, now))
    return Poll(Reason.CREATE, version.number)


def provisioning_failed(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Row 21: Foundry gave up; a twin of earlier is cleared away once, so that this push gets a try of its own."""
    version = _seen(inputs)
    if version.status is not Status.FAILED:
        return None
    serves = inputs.agent is not None and inputs.agent.routing.pinned == version.number
    if inputs.release.is_duplicate and inputs.release.deleted_duplicate is None and not serves:
        return DeleteDuplicate(version.number)
    code, message = (version.failure.code, version.failure.message) if version.failure else ("", "")
    detail = f"{code}: {message}" if code else "Foundry gave no reason"
    return EndRelease(from_service(code), transitions.ended(inputs.release, from_service(code), now, detail), detail)


def held_meanwhile(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Row 23, before anything else of it: a person held the image, or this very definition, while it was made."""
    release, found = inputs.release, holds.active(inputs.desired, inputs.release, now)
    hold = holds.of_fingerprint(found, release.fingerprint) or holds.of_digest(
        found, release.push.digest if release.push else ""
    )
    if hold is None:
        return None
    detail = f"{hold.reason} by {hold.by}: {hold.detail}"
    return EndRelease(Reason.HELD, transitions.ended(release, Reason.HELD, now, detail), detail)


def _candidate(inputs: DecisionInput) -> str:
    return inputs.release.candidate or ""


def _seen(inputs: DecisionInput) -> Version:
    version = inputs.version(_candidate(inputs))
    if version is None:  # pragma: no cover - row 19 answered that
        raise NeedsReadError("version", _candidate(inputs))
    return version
