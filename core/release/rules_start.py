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


def agent_deleted(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Row 1: a number that was born again, or whose agent is gone, names nothing that we know."""
    born = inputs.release.created_at
    if not born:
        return None
    if inputs.agent is None:
        if any(now - at < CONSISTENCY_LAG for at in born.values()):
            return Poll(Reason.CREATE)  # the agent came with its first version: reads lag
        return EndRelease(Reason.AGENT_DELETED, transitions.agent_deleted(inputs.release, inputs.desired, now))
    told = [inputs.agent.latest, *inputs.observed.versions.values()]
    if any(born.get(version.number, version.created_at) != version.created_at for version in told if version):
        return EndRelease(Reason.AGENT_DELETED, transitions.agent_deleted(inputs.release, inputs.desired, now))
    return None


def paused(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Row 5: a person asked to stop."""
    pause = inputs.desired.pause
    if (
        pause is None or not pause.is_active(now) or rollback_version(inputs.desired)
    ):  # the way back is what a pause makes time for
        return None
    return Stop(Reason.PAUSED, f"by {pause.by}: {pause.why}")


def nothing_desired(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Row 6: nobody pushed yet, or what was asked for is not due."""
    if inputs.desired.push is None:
        return Stop(Reason.NO_PUSH_YET)
    if (
        inputs.desired.not_before is not None
        and now < inputs.desired.not_before
        and not _settled_by_another_clock(inputs, now)
    ):
        return Requeue(Reason.NOT_DUE, inputs.desired.not_before)
    return None


def _settled_by_another_clock(inputs: DecisionInput, now: datetime) -> bool:
    """True for a quiet time that began in our future: nobody knows when it ends. Soak counts from the push itself."""
    noted_at = inputs.desired.updated_at
    return inputs.desired.cause is not Cause.PUSH and noted_at is not None and noted_at - now > CONSISTENCY_LAG


def routing_changed_outside(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Row 7: a person moved the traffic; only a newer push that is not held, or word of people's, may move it again.

    A release under way is over by that: a second hand that puts the traffic back does not set it going again.
    """
    overwrites = inputs.has_pending_user_change and not _is_held(inputs, now)
    if overwrites or not inputs.routing_changed_outside:
        return None
    reason, release = Reason.ROUTING_CHANGED, inputs.release
    return EndRelease(reason, transitions.ended(release, reason, now)) if release.is_open else Stop(reason)


def ended_stays_ended(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Row 8: an ended release is not begun again by itself."""
    if inputs.has_pending or inputs.release.is_open:
        return None
    reason = by_code(inputs.release.reason) if inputs.release.reason else Reason.NO_PUSH_YET
    return Stop(reason, inputs.release.detail, already_reported=True)


def image_held(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Row 9: the desired image is held and nothing good is there that could run in its place."""
    if not inputs.has_pending or push_to_run(inputs.desired, inputs.release, now) is not None:
        return None
    return _held(inputs, now)


def definition_unresolved(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Row 10: the newer wish cannot become a definition, or comes to one that is held."""
    if not inputs.has_pending:
        return None
    if isinstance(inputs.desired_definition, UnresolvedDefinition):
        reason, detail = inputs.desired_definition.reason, inputs.desired_definition.detail
        return EndRelease(
            reason, transitions.answered_without_release(inputs.release, inputs.desired, reason, now, detail), detail
        )
    hold = holds.of_fingerprint(
        holds.active(inputs.desired, inputs.release, now), inputs.desired_definition.fingerprint
    )
    return _held(inputs, now) if hold else None


def already_live(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Row 11: what is wanted is what serves and has proven itself."""
    good, agent = inputs.release.last_good, inputs.agent
    if not inputs.has_pending or good is None or agent is None or agent.live != good.version:
        return None
    desired = _fingerprint(inputs)
    listed = (one for one in inputs.observed.version_list or () if one.number == good.version)
    told = next(listed, None)  # its status may lie, its metadata never changes: it can spare a read
    serving = told if told is not None and not _is(told, desired, good) else inputs.version(good.version)
    if serving is None or serving.status is not Status.ACTIVE or not _is(serving, desired, good):
        return None
    if _is_held(inputs, now):
        return _held(inputs, now)
    return EndRelease(
        Reason.ALREADY_LIVE,
        transitions.answered_without_release(inputs.release, inputs.desired, Reason.ALREADY_LIVE, now),
    )


def notify_only_or_disabled(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Row 12: the rule only wants to be told, or nobody can reach the agent."""
    if not inputs.has_pending:
        return None
    disabled = inputs.agent is not None and not inputs.agent.enabled
    if spec.release.mode != "notify" and not disabled:
        return None
    reason = Reason.WOULD_RELEASE if spec.release.mode == "notify" else Reason.AGENT_DISABLED
    return EndRelease(reason, transitions.answered_without_release(inputs.release, inputs.desired, reason, now))


def pin_traffic(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Row 14: hold the traffic where it is; a version created while the endpoint follows latest is served at once."""
    agent = inputs.agent
    if not _begins(inputs, spec) or agent is None or not agent.routing.follows_latest:
        return None
    noted = [inputs.release.last_good.version] if inputs.release.last_good else []
    noted += [inputs.release.candidate] if inputs.release.candidate else []
    for number in [*noted, *(version.number for version in inputs.version_list)]:
        version = inputs.version(number)
        if version is not None and version.status is Status.ACTIVE:
            return Pin(number, agent.routing)
    return None


def start_release(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Row 15: take the newer wish up; it keeps a candidate that is the same and lives."""
    push = push_to_run(inputs.desired, inputs.release, now)
    if not _begins(inputs, spec) or isinstance(inputs.desired_definition, UnresolvedDefinition) or push is None:
        return None
    routing = inputs.agent.routing if inputs.agent else None
    release = transitions.started(
        inputs.release, inputs.desired.generation, push, inputs.desired_definition, routing, now
    )
    number = rollback_version(inputs.desired)
    back = inputs.version(number) if number else None
    if back is not None:
        release = transitions.has_candidate(release, back)
    elif release.candidate is not None and not may_serve(inputs.version(release.candidate)):
        release = transitions.without_candidate(release)
    return StartRelease(release, superseded=inputs.release if inputs.release.is_open else None)


def _begins(inputs: DecisionInput, spec: AgentSpec) -> bool:
    """Row 13: a newer wish waits while the one under way was overtaken too often: a busy branch starves nobody.

    Not in mode ``manual``: there the one under way may wait for a person for ever.
    """
    starves = (
        inputs.release.is_open
        and inputs.release.supersede_count >= MAX_SUPERSEDES_IN_A_ROW
        and spec.release.mode != "manual"
    )
    return inputs.has_pending and not starves


def _is_held(inputs: DecisionInput, now: datetime) -> bool:
    push = inputs.desired.push
    return (
        push is not None and holds.of_digest(holds.active(inputs.desired, inputs.release, now), push.digest) is not None
    )


def _held(inputs: DecisionInput, now: datetime) -> EndRelease:
    """The end of a wish that is held, with what is known of the hold."""
    push = inputs.desired.push
    found = holds.active(inputs.desired, inputs.release, now)
    hold = holds.of_digest(found, push.digest if push else "") or holds.of_fingerprint(found, _fingerprint(inputs))
    until = f" until {hold.until:%Y-%m-%d %H:%M} UTC" if hold and hold.until else ""
    detail = f"{hold.reason} by {hold.by}{until}: {hold.detail}" if hold else ""
    return EndRelease(
        Reason.HELD,
        transitions.answered_without_release(inputs.release, inputs.desired, Reason.HELD, now, detail),
        detail,
    )


def _is(version: Version, fingerprint: str, good: GoodVersion) -> bool:
    return fingerprint in (good.fingerprint, version.metadata.get(FINGERPRINT))


def _fingerprint(inputs: DecisionInput) -> str:
    return (
        inputs.observed.desired_definition.fingerprint
        if isinstance(inputs.observed.desired_definition, ResolvedDefinition)
        else ""
    )
