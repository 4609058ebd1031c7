"""One candidate on its way from nothing to active."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from core.agents_file.spec import AgentSpec
from core.definition import Note, ResolvedDefinition, UnresolvedDefinition, differing_parts
from core.intake.registry_check import is_fresh, next_registry_read
from core.model import UNKNOWN_TIME, Status, Version
from core.reasons import Reason, from_service
from core.release import rules_registry, rules_signature, transitions
from core.release.actions import (
    Action,
    Create,
    DeleteDuplicate,
    EndRelease,
    Poll,
    Read,
    Requeue,
    StartRelease,
    UpdateState,
)
from core.release.inputs import DecisionInput, is_as_asked_for, is_gone, is_new, may_serve
from core.state import holds
from core.state.release import Phase, ReleaseState

MAX_NAMED_PARTS = 5
"""Of a version that differs, and of such versions: their variables are anybody's text."""


def adopt_existing_version(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """A version with this fingerprint exists: a crash lost the answer of the create, or it served before."""
    if inputs.release.candidate is not None:
        return None
    if needed := inputs.needs(Read.AGENT, Read.VERSION_LIST):
        return needed
    listed = [item.number for item in inputs.version_list if inputs.is_for_this_release(item)]
    for number in [*listed, *_not_listed_yet(inputs)]:
        if action := _adopt(inputs, number, now):
            return action
    return None


def _adopt(inputs: DecisionInput, number: str, now: datetime) -> Action | None:
    if needed := inputs.needs_version(number):
        return needed
    version = inputs.version(number)
    if version is None and is_new(inputs.release.created_at.get(number), now):
        return Poll(Reason.CREATE, number)  # neither the list nor its own read shows it yet
    return adopt_if_as_asked_for(inputs, version) if may_serve(version) else None


def adopt_if_as_asked_for(inputs: DecisionInput, version: Version | None) -> Action | None:
    """Adopt a version that is what the release asks for: its metadata alone may be anybody's."""
    if version is None:
        return None
    if needed := inputs.needs(Read.RELEASE_DEFINITION):
        return needed
    if not is_as_asked_for(inputs, version):
        return None
    return UpdateState(Reason.ADOPT, transitions.has_candidate(inputs.release, version))


def _not_listed_yet(inputs: DecisionInput) -> list[str]:
    """Versions that Slipway created for this fingerprint and that the list does not show: lists lag."""
    release, shown = inputs.release, {item.number for item in inputs.version_list}
    gone = {*shown, release.deleted_duplicate.version if release.deleted_duplicate else ""}
    made = [number for number, fingerprint in release.fingerprints.items() if fingerprint == release.fingerprint]
    return [number for number in made if number not in gone] if inputs.agent is not None else []


def create_version(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """No such version exists: create one."""
    release = inputs.release
    if release.candidate is not None:
        return None
    if needed := inputs.needs(Read.AGENT, Read.VERSION_LIST, Read.RELEASE_DEFINITION):
        return needed
    agent, definition = inputs.agent, inputs.observed.release_definition
    if isinstance(definition, UnresolvedDefinition):
        reason, detail = definition.reason, definition.detail
        if reason is Reason.IMAGE_GONE and release.push is not None and is_fresh(release.push, spec, now):
            return Requeue(Reason.IMAGE_LAGS, next_registry_read(release.push, spec, now))
        return EndRelease(reason, transitions.ended(release, reason, now, detail), detail)
    if definition.fingerprint != release.fingerprint:
        # agents.yaml was deployed since this release began and gives another definition. The release starts again with
        # it; it answers no newer change by that, counts as superseded as often as before, and its image is signed.
        before = replace(release, phase=Phase.ENDED)
        state = transitions.started(
            before, release.observed_generation, release.push, definition, release.routing_at_start, now
        )
        return StartRelease(replace(state, supersede_count=release.supersede_count, signer=release.signer))
    if unsigned := rules_signature.before_create(inputs, spec, now):
        return unsigned
    if agent is None:
        return Create(0, None, None)
    known = [int(item.number) for item in inputs.version_list]
    known += [int(agent.latest.number)] if agent.latest else []
    return Create(max(known, default=0), agent.live, agent.routing, _not_adopted(inputs, definition))


def _not_adopted(inputs: DecisionInput, asked: ResolvedDefinition) -> tuple[Note, ...]:
    """A note for each version that says by its metadata that it is the release's, and is not; once a release."""
    if inputs.release.create_count:
        return ()
    listed = (inputs.version(item.number) for item in inputs.version_list if inputs.is_for_this_release(item))
    serving = [item for item in listed if item is not None and may_serve(item)]
    differing = ((item.number, differing_parts(item, asked.definition)) for item in serving)
    return tuple(
        Note(Reason.VERSION_NOT_ADOPTED, f"version {number} differs in {', '.join(parts[:MAX_NAMED_PARTS])}")
        for number, parts in differing
    )[:MAX_NAMED_PARTS]


def candidate_gone(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Somebody deleted the candidate; that of an earlier release may have been gone when this one was asked for."""
    release, number = inputs.release, inputs.release.candidate or ""
    if needed := inputs.needs_version(number):
        return needed
    version = inputs.version(number)
    if not is_gone(version):
        return None
    if version is None and is_new(release.created_at.get(number), now):
        return Poll(Reason.CREATE, number)  # it was just created: reads lag
    if _is_unwanted(release):
        return UpdateState(Reason.DELETE_DUPLICATE, transitions.candidate_deleted(release))
    if release.has_older_candidate and release.phase is Phase.STARTED:
        return UpdateState(Reason.CANDIDATE_GONE, transitions.candidate_deleted(release), already_reported=True)
    if version is None and is_new(release.started_at, now):
        return Poll(Reason.CREATE, number)  # the same where our clock is minutes ahead of Foundry's
    return EndRelease(Reason.CANDIDATE_GONE, transitions.ended(release, Reason.CANDIDATE_GONE, now))


def still_provisioning(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Wait while Foundry provisions the version; its own clock counts, since ours may be wrong.

    A status that Slipway does not know is waited for too.
    """
    version = _candidate(inputs)
    if version is None or version.status not in (Status.CREATING, Status.UNKNOWN):
        return None
    undated = version.created_at == UNKNOWN_TIME
    since = (inputs.release.started_at or now) if undated else version.created_at
    took = (now if undated else version.read_at or now) - since
    if took >= spec.release.provision_within:
        return EndRelease(Reason.TIMED_OUT, transitions.ended(inputs.release, Reason.TIMED_OUT, now))
    return Poll(Reason.CREATE, version.number)


def provisioning_failed(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Foundry gave up. A failed duplicate is deleted once, so that this release gets a version of its own."""
    release, version = inputs.release, _candidate(inputs)
    if version is None or version.status is not Status.FAILED:
        return None
    if _is_unwanted(release):
        if needed := inputs.needs(Read.AGENT):
            return needed
        if inputs.agent is None or inputs.agent.routing.pinned != version.number:
            return DeleteDuplicate(version.number, inputs.agent.routing if inputs.agent else None)
    if again := rules_registry.failed_pull(release, version, spec, now):
        return again
    code, message = (version.failure.code, version.failure.message) if version.failure else ("", "")
    reason, detail = from_service(code), f"{code}: {message}" if code else "Foundry gave no reason"
    return EndRelease(reason, transitions.ended(release, reason, now, detail), detail)


def held_meanwhile(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """An operator held the image, or this definition, while the candidate was made."""
    release, active = inputs.release, holds.active(inputs.desired, inputs.release, now)
    digest = release.push.digest if release.push else ""
    hold = holds.of_fingerprint(active, release.fingerprint) or holds.of_digest(active, digest)
    if hold is None:
        return None
    detail = holds.describe(hold)
    return EndRelease(Reason.HELD, transitions.ended(release, Reason.HELD, now, detail), detail)


def _is_unwanted(release: ReleaseState) -> bool:
    """True for a duplicate whose deletion is not over; its creation time is forgotten before it is deleted."""
    return release.is_duplicate and (release.deleted_duplicate is None or release.candidate not in release.created_at)


def _candidate(inputs: DecisionInput) -> Version | None:
    return inputs.version(inputs.release.candidate or "")
