"""Moves the traffic to the candidate, and finishes a release whose traffic has moved."""

from __future__ import annotations

from datetime import datetime

from core.agents_file.spec import AgentSpec
from core.reasons import Reason
from core.release import transitions
from core.release.actions import Action, Check, EndRelease, MoveTraffic, Poll, Read, UpdateState
from core.release.gates import check, window
from core.release.inputs import DecisionInput, rollback_note
from core.state.release import Phase, WriteKind
from core.timing import CONSISTENCY_LAG


def own_change_not_visible(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Shortly after our own routing write, another routing is a stale read and not a manual change."""
    routed_at = inputs.release.routed_at
    if routed_at is None or abs(now - routed_at) >= CONSISTENCY_LAG or inputs.release.expected_routing is None:
        return None
    if needed := inputs.needs(Read.AGENT):
        return needed
    return Poll(Reason.TRAFFIC_MOVED) if inputs.routing_changed_outside else None


def finish_moved_traffic(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """A release whose traffic has moved is finished first, also while paused and when a newer change waits."""
    release = inputs.release
    if release.phase is Phase.ROLLED_BACK:
        state = transitions.ended(release, Reason.CHECK_FAILED, now, release.detail)
        return EndRelease(Reason.CHECK_FAILED, state, release.detail)
    if release.phase not in (Phase.TRAFFIC_MOVED, Phase.CHECK_FAILED):
        return None
    if needed := inputs.needs(Read.AGENT):
        return needed
    if inputs.agent is None or inputs.agent.routing.pinned != release.candidate:
        return EndRelease(Reason.ROUTING_CHANGED, transitions.ended(release, Reason.ROUTING_CHANGED, now))
    if release.phase is Phase.CHECK_FAILED:
        return check.roll_back(inputs, now)  # the process stopped between the failed check and the rollback
    if spec.release.check:
        return Check(release.candidate or "", check.rollback_versions(release))
    note = rollback_note(inputs)
    return EndRelease(Reason.LIVE, transitions.went_live(release, inputs.agent.identity, now, note), note)


def already_routed(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """The candidate has the traffic already."""
    if needed := inputs.needs(Read.AGENT):
        return needed
    agent = inputs.agent
    if agent is None or agent.routing.pinned != inputs.release.candidate:
        return None
    state = transitions.routed(inputs.release, agent.routing, WriteKind.MOVE_TRAFFIC, now)
    return UpdateState(Reason.TRAFFIC_MOVED, state)


def move_traffic(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Send new sessions to the candidate; an agent that does not show yet came with its first version."""
    agent = inputs.agent
    detail = window.note(inputs, spec, now)
    return MoveTraffic(inputs.release.candidate or "", agent.routing, detail) if agent else Poll(Reason.CREATE)
