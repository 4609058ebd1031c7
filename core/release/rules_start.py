"""The middle rows of the table: what is newly wanted, and whether it is taken up."""

from __future__ import annotations

from datetime import datetime

from core.agents_file.spec import AgentSpec
from core.definition import FINGERPRINT, ResolvedDefinition, UnresolvedDefinition
from core.model import Status, Version
from core.reasons import Reason, by_code
from core.release import transitions
from core.release.actions import Action, EndRelease, Pin, Poll, Requeue, StartRelease, Stop
from core.release.inputs import DecisionInput, may_serve, push_to_run, rollback_version
from core.state import holds
from core.state.desired import Cause
from core.state.release import GoodVersion
from core.timing import CONSISTENCY_LAG

MAX_SUPERSEDES_IN_A_ROW = 3
"""Releases ended by a newer wish in a row, after which one is finished first."""


def agent_deleted(world: DecisionInput, rule: AgentSpec, now: datetime) -> Action | None:
    """Row 1: a number that was born again, or whose agent is gone, names nothing that we know."""
    born = world.release.created_at
    if not born:
        return None
    if world.agent is None:
        if any(now - at < CONSISTENCY_LAG for at in born.values()):
            return Poll(Reason.CREATE)  # the agent came with its first version: reads lag
        return EndRelease(Reason.AGENT_DELETED, transitions.agent_deleted(world.release, world.desired, now))
    told = [world.agent.latest, *world.observed.versions.values()]
    if any(born.get(version.number, version.created_at) != version.created_at for version in told if version):
        return EndRelease(Reason.AGENT_DELETED, transitions.agent_deleted(world.release, world.desired, now))
    return None


def paused(world: DecisionInput, rule: AgentSpec, now: datetime) -> Action | None:
    """Row 5: a person asked to stop."""
    pause = world.desired.pause
    if (
        pause is None or not pause.is_active(now) or rollback_version(world.desired)
    ):  # the way back is what a pause makes time for
        return None
    return Stop(Reason.PAUSED, f"by {pause.by}: {pause.why}")


def nothing_desired(world: DecisionInput, rule: AgentSpec, now: datetime) -> Action | None:
    """Row 6: nobody pushed yet, or what was asked for is not due."""
    if world.desired.push is None:
        return Stop(Reason.NOTHING_DESIRED)
    if world.desired.not_before is not None and now < world.desired.not_before and not _settled_by_another_clock(world, now):
        return Requeue(Reason.NOT_DUE, world.desired.not_before)
    return None


def _settled_by_another_clock(world: DecisionInput, now: datetime) -> bool:
    """True for a quiet time that began in our future: nobody knows when it ends. Soak counts from the push itself."""
    noted_at = world.desired.updated_at
    return world.desired.cause is not Cause.PUSH and noted_at is not None and noted_at - now > CONSISTENCY_LAG


def routing_changed_outside(world: DecisionInput, rule: AgentSpec, now: datetime) -> Action | None:
    """Row 7: a person moved the traffic; only a newer push that is not held, or word of people's, may move it again.

    A release under way is over by that: a second hand that puts the traffic back does not set it going again.
    """
    overwrites = world.has_pending_user_change and not _is_held(world, now)
    if overwrites or not world.routing_changed_outside:
        return None
    reason, record = Reason.ROUTING_CHANGED, world.release
    return EndRelease(reason, transitions.ended(record, reason, now)) if record.is_open else Stop(reason)


def ended_stays_ended(world: DecisionInput, rule: AgentSpec, now: datetime) -> Action | None:
    """Row 8: an ended release is not begun again by itself."""
    if world.has_pending or world.release.is_open:
        return None
    reason = by_code(world.release.reason) if world.release.reason else Reason.NOTHING_DESIRED
    return Stop(reason, world.release.detail, already_reported=True)


def image_held(world: DecisionInput, rule: AgentSpec, now: datetime) -> Action | None:
    """Row 9: the desired image is held and nothing good is there that could run in its place."""
    if not world.has_pending or push_to_run(world.desired, world.release, now) is not None:
        return None
    return _held(world, now)


def definition_unresolved(world: DecisionInput, rule: AgentSpec, now: datetime) -> Action | None:
    """Row 10: the newer wish cannot become a definition, or comes to one that is held."""
    if not world.has_pending:
        return None
    if isinstance(world.desired_definition, UnresolvedDefinition):
        reason, detail = world.desired_definition.reason, world.desired_definition.detail
        return EndRelease(reason, transitions.answered_without_release(world.release, world.desired, reason, now, detail), detail)
    hold = holds.of_fingerprint(holds.active(world.desired, world.release, now), world.desired_definition.fingerprint)
    return _held(world, now) if hold else None


def already_live(world: DecisionInput, rule: AgentSpec, now: datetime) -> Action | None:
    """Row 11: what is wanted is what serves and has proven itself."""
    good, agent = world.release.last_good, world.agent
    if not world.has_pending or good is None or agent is None or agent.live != good.version:
        return None
    wanted = _fingerprint(world)
    listed = (one for one in world.observed.version_list or () if one.number == good.version)
    told = next(listed, None)  # its status may lie, its metadata never changes: it can spare a read
    serving = told if told is not None and not _is(told, wanted, good) else world.version(good.version)
    if serving is None or serving.status is not Status.ACTIVE or not _is(serving, wanted, good):
        return None
    if _is_held(world, now):
        return _held(world, now)
    return EndRelease(Reason.ALREADY_LIVE, transitions.answered_without_release(world.release, world.desired, Reason.ALREADY_LIVE, now))


def notify_only_or_disabled(world: DecisionInput, rule: AgentSpec, now: datetime) -> Action | None:
    """Row 12: the rule only wants to be told, or nobody can reach the agent."""
    if not world.has_pending:
        return None
    disabled = world.agent is not None and not world.agent.enabled
    if rule.release.mode != "notify" and not disabled:
        return None
    reason = Reason.WOULD_RELEASE if rule.release.mode == "notify" else Reason.AGENT_DISABLED
    return EndRelease(reason, transitions.answered_without_release(world.release, world.desired, reason, now))


def pin_traffic(world: DecisionInput, rule: AgentSpec, now: datetime) -> Action | None:
    """Row 14: hold the traffic where it is; a version created while the endpoint follows latest is served at once."""
    agent = world.agent
    if not _begins(world, rule) or agent is None or not agent.routing.follows_latest:
        return None
    noted = [world.release.last_good.version] if world.release.last_good else []
    noted += [world.release.candidate] if world.release.candidate else []
    for number in [*noted, *(version.number for version in world.version_list)]:
        version = world.version(number)
        if version is not None and version.status is Status.ACTIVE:
            return Pin(number, agent.routing)
    return None


def start_release(world: DecisionInput, rule: AgentSpec, now: datetime) -> Action | None:
    """Row 15: take the newer wish up; it keeps a candidate that is the same and lives."""
    push = push_to_run(world.desired, world.release, now)
    if not _begins(world, rule) or isinstance(world.desired_definition, UnresolvedDefinition) or push is None:
        return None
    routing = world.agent.routing if world.agent else None
    record = transitions.started(world.release, world.desired.generation, push, world.desired_definition, routing, now)
    number = rollback_version(world.desired)
    back = world.version(number) if number else None
    if back is not None:
        record = transitions.has_candidate(record, back)
    elif record.candidate is not None and not may_serve(world.version(record.candidate)):
        record = transitions.without_candidate(record)
    return StartRelease(record, superseded=world.release if world.release.is_open else None)


def _begins(world: DecisionInput, rule: AgentSpec) -> bool:
    """Row 13: a newer wish waits while the one under way was overtaken too often: a busy branch starves nobody.

    Not in mode ``manual``: there the one under way may wait for a person for ever.
    """
    starves = world.release.is_open and world.release.supersede_count >= MAX_SUPERSEDES_IN_A_ROW and rule.release.mode != "manual"
    return world.has_pending and not starves


def _is_held(world: DecisionInput, now: datetime) -> bool:
    push = world.desired.push
    return push is not None and holds.of_digest(holds.active(world.desired, world.release, now), push.digest) is not None


def _held(world: DecisionInput, now: datetime) -> EndRelease:
    """The end of a wish that is held, with what is known of the hold."""
    push = world.desired.push
    found = holds.active(world.desired, world.release, now)
    hold = holds.of_digest(found, push.digest if push else "") or holds.of_fingerprint(found, _fingerprint(world))
    until = f" until {hold.until:%Y-%m-%d %H:%M} UTC" if hold and hold.until else ""
    detail = f"{hold.reason} by {hold.by}{until}: {hold.detail}" if hold else ""
    return EndRelease(Reason.HELD, transitions.answered_without_release(world.release, world.desired, Reason.HELD, now, detail), detail)


def _is(version: Version, fingerprint: str, good: GoodVersion) -> bool:
    return fingerprint in (good.fingerprint, version.metadata.get(FINGERPRINT))


def _fingerprint(world: DecisionInput) -> str:
    return world.observed.desired_definition.fingerprint if isinstance(world.observed.desired_definition, ResolvedDefinition) else ""
