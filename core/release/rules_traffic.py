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
from core.release.gates.check import _names, roll_back, _ways
from core.release.inputs import DecisionInput
from core.release.rules_candidate import _candidate
from core.state.release import Phase, WriteKind
from core.timing import CONSISTENCY_LAG


def own_change_not_visible(world: DecisionInput, rule: AgentSpec, now: datetime) -> Action | None:
    """Row 3: what differs so soon after our own change is a read that lags, not a person."""
    routed_at = world.release.routed_at
    if routed_at is not None and abs(now - routed_at) < CONSISTENCY_LAG and world.routing_changed_outside:
        return Poll(Reason.PROMOTE)
    return None


def finish_promoted(world: DecisionInput, rule: AgentSpec, now: datetime) -> Action | None:
    """Row 4: finish what is promoted first, also when paused and when something newer waits."""
    record = world.release
    if record.phase is Phase.ROLLED_BACK:
        return EndRelease(
            Reason.CHECK_FAILED, transitions.ended(record, Reason.CHECK_FAILED, now, record.detail), record.detail
        )
    if record.phase not in (Phase.TRAFFIC_MOVED, Phase.CHECK_FAILED):
        return None
    if world.agent is None or world.agent.routing.pinned != record.candidate:
        return EndRelease(Reason.ROUTING_CHANGED, transitions.ended(record, Reason.ROUTING_CHANGED, now))
    if record.phase is Phase.CHECK_FAILED:
        return roll_back(world, now)  # whoever saw it fail did not live to take the traffic back
    if rule.release.check:
        return Check(record.candidate or "", tuple(number for way in _ways(record) for number in _names(way)))
    return EndRelease(Reason.LIVE, transitions.went_live(record, world.agent.identity, now))


def already_routed(world: DecisionInput, rule: AgentSpec, now: datetime) -> Action | None:
    """Row 25: the traffic is there already."""
    agent = world.agent
    if agent is None or agent.routing.pinned != world.release.candidate:
        return None
    return UpdateState(Reason.PROMOTE, transitions.routed(world.release, agent.routing, WriteKind.MOVE_TRAFFIC, now))


def move_traffic(world: DecisionInput, rule: AgentSpec, now: datetime) -> Action | None:
    """Row 26: move the traffic."""
    agent = world.agent
    return MoveTraffic(_candidate(world), agent.routing) if agent else Poll(Reason.CREATE)
