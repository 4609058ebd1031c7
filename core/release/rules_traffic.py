"""Finishes a release whose traffic has moved."""

from __future__ import annotations

from datetime import datetime

from core.agents_file.spec import AgentSpec
from core.reasons import Reason
from core.release import transitions
from core.release.actions import (
    Action,
    Check,
    EndRelease,
    MoveTraffic,
    Poll,
    UpdateState,
)
from core.release.gates.check import _names, _ways, roll_back
from core.release.inputs import DecisionInput
from core.release.rules_candidate import _candidate
from core.state.release import Phase, WriteKind
from core.timing import CONSISTENCY_LAG


def own_change_not_visible(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Row 3: what differs so soon after our own change is a read that lags, not a person."""
    routed_at = inputs.release.routed_at
    if routed_at is not None and abs(now - routed_at) < CONSISTENCY_LAG and inputs.routing_changed_outside:
        return Poll(Reason.TRAFFIC_MOVED)
    return None


def finish_promoted(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Row 4: finish what is promoted first, also when paused and when something newer waits."""
    release = inputs.release
    if release.phase is Phase.ROLLED_BACK:
        return EndRelease(
            Reason.CHECK_FAILED, transitions.ended(release, Reason.CHECK_FAILED, now, release.detail), release.detail
        )
    if release.phase not in (Phase.TRAFFIC_MOVED, Phase.CHECK_FAILED):
        return None
    if inputs.agent is None or inputs.agent.routing.pinned != release.candidate:
        return EndRelease(Reason.ROUTING_CHANGED, transitions.ended(release, Reason.ROUTING_CHANGED, now))
    if release.phase is Phase.CHECK_FAILED:
        return roll_back(inputs, now)  # whoever saw it fail did not live to take the traffic back
    if spec.release.check:
        return Check(release.candidate or "", tuple(number for way in _ways(release) for number in _names(way)))
    return EndRelease(Reason.LIVE, transitions.went_live(release, inputs.agent.identity, now))


def already_routed(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Row 25: the traffic is there already."""
    agent = inputs.agent
    if agent is None or agent.routing.pinned != inputs.release.candidate:
        return None
    return UpdateState(
        Reason.TRAFFIC_MOVED, transitions.routed(inputs.release, agent.routing, WriteKind.MOVE_TRAFFIC, now)
    )


def move_traffic(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Row 26: move the traffic."""
    agent = inputs.agent
    return MoveTraffic(_candidate(inputs), agent.routing) if agent else Poll(Reason.CREATE)
