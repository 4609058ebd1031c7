"""check: asks the agent once the candidate has the traffic, and rolls back when that fails."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from core.agents_file.spec import AgentSpec
from core.model import Routing, Status
from core.reasons import Reason
from core.release import transitions
from core.release.actions import Action, EndRelease, NeedsRead, Poll, RollBack, UpdateState
from core.release.gates.answers import ProbeOutcome, ProbeReport
from core.release.inputs import DecisionInput, rollback_note
from core.state.release import Phase, ReleaseState


def after_check(inputs: DecisionInput, spec: AgentSpec, report: ProbeReport, now: datetime) -> Action:
    """What the check's report leads to: live, a rollback with a hold, or live without being the last good version."""
    if report.outcome is ProbeOutcome.PASSED:
        identity = inputs.agent.identity if inputs.agent else None
        note = rollback_note(inputs)
        return EndRelease(Reason.LIVE, transitions.went_live(inputs.release, identity, now, note), note)
    if report.outcome is not ProbeOutcome.FAILED or _being_swapped_in(spec, report):
        return _inconclusive(inputs, report, now)
    held = transitions.held(inputs.release, Reason.CHECK_FAILED, report.detail, spec.release.hold_for, now)
    failed = replace(inputs, release=replace(held, phase=Phase.CHECK_FAILED))
    action = roll_back(failed, now)
    # a version that the rollback may go to could not be read beside the check: record the failure, then read it
    noted = UpdateState(Reason.CHECK_FAILED, failed.release, reported_at_end=True)
    return noted if isinstance(action, NeedsRead) else action


def _being_swapped_in(spec: AgentSpec, report: ProbeReport) -> bool:
    """True where the service says that the version is still starting, although it answered ``release.verify``.

    Foundry may say so while it swaps the active version in (deploy-hosted-agent-code.md of azure-ai-docs).
    """
    return report.still_starting and bool(spec.release.verify)


def _inconclusive(inputs: DecisionInput, report: ProbeReport, now: datetime) -> Action:
    """Nothing is known about the version, so it stays live; first read whether somebody moved its traffic meanwhile."""
    if inputs.agent is not None and inputs.agent.routing.pinned != inputs.release.candidate:
        return Poll(Reason.TRAFFIC_MOVED)
    reason = Reason.CHECK_INCONCLUSIVE
    return EndRelease(reason, transitions.ended(inputs.release, reason, now, report.detail), report.detail)


def roll_back(inputs: DecisionInput, now: datetime) -> Action:
    """Back to the routing at the start, or else to a good version; the hold is saved in the same write."""
    release = inputs.release
    for routing in _rollback_routings(release):
        for rule in routing.rules:
            if needed := inputs.needs_version(rule.version):
                return needed
        if all(_can_serve(inputs, rule.version, now) for rule in routing.rules):
            return RollBack(routing, release, inputs.agent.routing if inputs.agent else None)
    reason = Reason.CHECK_FAILED_NO_ROLLBACK_VERSION
    return EndRelease(reason, transitions.ended(release, reason, now, release.detail), release.detail)


def rollback_versions(release: ReleaseState) -> tuple[str, ...]:
    """The versions that a rollback may go to."""
    return tuple(rule.version for routing in _rollback_routings(release) for rule in routing.rules)


def _rollback_routings(release: ReleaseState) -> Iterator[Routing]:
    """The routing at the start, then the last good version and the one before; never the candidate itself."""
    good = [Routing.to(version.version) for version in (release.last_good, release.previous_good) if version]
    for routing in (release.routing_at_start, *good):
        if routing is not None and not routing.follows_latest and not routing.routes_to(release.candidate or ""):
            yield routing


def _can_serve(inputs: DecisionInput, number: str, now: datetime) -> bool:
    """True for an active version; neither its definition nor its image is held."""
    version = inputs.version(number)
    return version is not None and version.status is Status.ACTIVE and inputs.hold_on(version, now) is None
