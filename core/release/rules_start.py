"""Decides whether a newer change starts a release."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from core.agents_file.spec import AgentSpec
from core.definition import FINGERPRINT, ResolvedDefinition, UnresolvedDefinition
from core.model import Agent, Status, Version
from core.reasons import Reason
from core.release import rules_signature, transitions
from core.release.actions import (
    Action,
    EndRelease,
    Pin,
    Poll,
    Read,
    ReplaceDesiredPush,
    Requeue,
    StartRelease,
    Stop,
    UpdateState,
)
from core.release.inputs import (
    DecisionInput,
    is_new,
    is_rollback_target,
    may_serve,
    push_to_run,
    rollback_version,
)
from core.release.variables import removed_variables
from core.release_outcome import awaits_window
from core.state import holds
from core.state.desired import Hold
from core.state.release import GoodVersion, ReleaseState
from core.state.rollbacks import describe
from core.waits import newest_old_enough, waits_until

MAX_SUPERSEDES_IN_A_ROW = 3
"""After so many superseded releases one is finished first, so that a busy branch does not block every release."""


def agent_deleted(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """The agent was deleted, or deleted and recreated: recorded version numbers are void."""
    release, agent = inputs.release, inputs.agent
    if release.reason == Reason.AGENT_DELETED and inputs.has_pending and not inputs.has_pending_user_change:
        return _agent_deleted(inputs, now)  # a rotated secret does not bring a deleted agent back
    if not release.created_at:
        return None
    if needed := inputs.needs(Read.AGENT):
        return needed
    if agent is None:
        came_just_now = any(is_new(at, now) for at in release.created_at.values())
        # the agent came with its first version: reads lag
        return Poll(Reason.CREATE) if came_just_now else _agent_deleted(inputs, now)
    for version in (agent.latest, *inputs.observed.versions.values()):
        if version and release.created_at.get(version.number, version.created_at) != version.created_at:
            return _agent_deleted(inputs, now)
    return None


def paused(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """An operator paused the agent; a rollback is allowed while paused."""
    pause = inputs.desired.pause
    if pause is None or not pause.is_active(now) or rollback_version(inputs.desired):
        return None
    return Stop(Reason.PAUSED, f"by {pause.by}: {pause.why}")


def no_push_yet(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Nothing was pushed yet, or nothing that can be deployed."""
    if inputs.desired.push is not None:
        return None
    rejection = inputs.desired.last_rejection
    if rejection is None:
        return Stop(Reason.NO_PUSH_YET)
    return Stop(Reason[rejection.reason], rejection.detail, already_reported=True)


def push_old_enough(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """A push has waited for ``min_push_age``: it is desired from now on, also while newer ones wait."""
    desired = inputs.desired
    waiting = newest_old_enough(desired, spec, now)
    if waiting is None:
        return None
    return ReplaceDesiredPush(Reason.ACCEPTED, "", desired.generation, waiting.push)


def not_due(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Nothing is to be done before ``min_push_age`` or ``debounce`` is over."""
    until = waits_until(inputs.desired, inputs.release, spec, now)
    return Requeue(Reason.NOT_DUE, until) if until else None


def routing_changed_outside(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Somebody else moved the traffic; only a newer push that is not held, or an operator, moves it again.

    That ends a release under way: moving the traffic back by hand does not continue it.
    """
    if inputs.has_pending_user_change and not _image_is_held(inputs, now):
        return None
    if inputs.release.expected_routing is None and not inputs.release.created_at:
        return None
    if needed := inputs.needs(Read.AGENT):
        return needed
    if not inputs.routing_changed_outside:
        return None
    reason, release = Reason.ROUTING_CHANGED, inputs.release
    return EndRelease(reason, transitions.ended(release, reason, now)) if release.is_open else Stop(reason)


def nothing_pending(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Every change is answered: an ended release does not start again by itself."""
    release = inputs.release
    if inputs.has_pending or release.is_open:
        return None
    reason = Reason[release.reason] if release.reason else Reason.NO_PUSH_YET
    rollback = inputs.desired.rollback
    if rollback is not None and rollback.config_at is not None:
        return Stop(Reason.ROLLED_BACK_BY, describe(rollback), already_reported=True)
    return Stop(reason, release.detail, already_reported=True)


def image_held(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """The desired image is held, and there is no last good version that could run instead, or it is held too."""
    if not inputs.has_pending or push_to_run(inputs.desired, inputs.release, now) is not None:
        return None
    return _held(inputs, now)


def definition_unresolved(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """The desired push cannot become a definition, or its definition is held."""
    if not inputs.has_pending:
        return None
    if needed := inputs.needs(Read.DESIRED_DEFINITION):
        return needed
    definition = inputs.observed.desired_definition
    if isinstance(definition, UnresolvedDefinition):
        return _answer(inputs, definition.reason, now, definition.detail)
    return _held(inputs, now) if holds.of_fingerprint(_holds(inputs, now), _fingerprint(inputs)) else None


def already_live(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """The last good version serves and has the desired definition; not where a secret is older than an event says."""
    good = inputs.release.last_good
    if not inputs.has_pending or good is None:
        return None
    if needed := inputs.needs(Read.AGENT):
        return needed
    if inputs.agent is None or inputs.agent.live != good.version:
        return None
    desired = _fingerprint(inputs)
    listed = next((item for item in inputs.observed.version_list if item.number == good.version), None)
    if listed is not None and not _is(listed, desired, good):
        return None  # a list's status is not reliable, but metadata never changes: this spares a read
    if needed := inputs.needs_version(good.version):
        return needed
    live = inputs.version(good.version)
    if live is None or live.status is not Status.ACTIVE or not _is(live, desired, good):
        return None
    return _held(inputs, now) if _image_is_held(inputs, now) else _already_live(inputs, now)


def _already_live(inputs: DecisionInput, now: datetime) -> EndRelease:
    definition = inputs.observed.desired_definition
    if definition.lagging is not None:
        return _answer(inputs, Reason.SECRET_LAGS, now, definition.lagging.detail)
    later = "; ".join(item.detail for item in definition.later)
    return _answer(inputs, Reason.SECRET_STARTS_LATER if later else Reason.ALREADY_LIVE, now, later)


def notify_only_or_disabled(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """The mode only reports what it would do, or the agent is disabled."""
    if not inputs.has_pending:
        return None
    if needed := inputs.needs(Read.AGENT):
        return needed
    if spec.release.mode == "notify":
        definition = inputs.observed.desired_definition
        removed = removed_variables(inputs, spec, definition) if isinstance(definition, ResolvedDefinition) else ()
        return _answer(
            inputs, Reason.WOULD_RELEASE, now, "; ".join(f"{note.reason}: {note.detail}" for note in removed)
        )
    disabled = inputs.agent is not None and not inputs.agent.enabled
    return _answer(inputs, Reason.AGENT_DISABLED, now) if disabled else None


def pin_traffic(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Pin the traffic first: a version created while the endpoint follows the latest one would serve at once."""
    if not inputs.has_pending:
        return None
    if needed := inputs.needs(Read.AGENT):
        return needed
    agent, release = inputs.agent, inputs.release
    if not _starts(inputs, spec) or agent is None or not agent.routing.follows_latest:
        return None
    if needed := inputs.needs(Read.VERSION_LIST):
        return needed
    known = [release.last_good.version if release.last_good else None, release.candidate]
    for number in [*filter(None, known), *(version.number for version in inputs.version_list)]:
        if needed := inputs.needs_version(number):
            return needed
        if _may_be_pinned(inputs, agent, number, now):
            return Pin(number, agent.routing)
    return None


def _may_be_pinned(inputs: DecisionInput, agent: Agent, number: str, now: datetime) -> bool:
    """True for an active version that is live already, or is not held."""
    version = inputs.version(number)
    if version is None or version.status is not Status.ACTIVE:
        return False
    return number == agent.live or inputs.hold_on(version, now) is None


def start_release(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Start the release of the newest change; a candidate with the same definition is kept while it can serve."""
    if not inputs.has_pending:
        return None
    if needed := inputs.needs(Read.AGENT):
        return needed
    push, definition = push_to_run(inputs.desired, inputs.release, now), inputs.observed.desired_definition
    if not _starts(inputs, spec) or not isinstance(definition, ResolvedDefinition) or push is None:
        return None
    routing = inputs.agent.routing if inputs.agent else None
    state = transitions.started(inputs.release, inputs.desired.generation, push, definition, routing, now)
    state, signed = rules_signature.with_signer(state, inputs, push)
    notes = (*signed, *definition.notes, *removed_variables(inputs, spec, definition))
    number = rollback_version(inputs.desired) or state.candidate
    if number is None:
        return StartRelease(state, notes=notes)
    return inputs.needs_version(number) or StartRelease(_with_candidate(state, inputs, number, now), notes=notes)


def _with_candidate(state: ReleaseState, inputs: DecisionInput, number: str, now: datetime) -> ReleaseState:
    """The release with the version that an operator wants back, or with the candidate that it had."""
    version, without = inputs.version(number), transitions.without_candidate(state)
    if rollback_version(inputs.desired):
        wanted = version if is_rollback_target(inputs.desired, version) else None
        return transitions.has_candidate(without, wanted) if wanted else without
    not_shown_yet = version is None and is_new(state.created_at.get(number), now)
    return state if not_shown_yet or may_serve(version) else without


def _agent_deleted(inputs: DecisionInput, now: datetime) -> EndRelease | UpdateState:
    """A newer push or command begins anew at once; nothing else creates the agent again."""
    state = transitions.agent_deleted(inputs.release, inputs.desired, now)
    if inputs.has_pending_user_change:
        return UpdateState(Reason.AGENT_DELETED, state)
    return EndRelease(Reason.AGENT_DELETED, state)


def _starts(inputs: DecisionInput, spec: AgentSpec) -> bool:
    """False while the release under way was superseded too often.

    Not in mode ``manual``: there the one under way may wait for its approval for ever. Nor while it waits for its
    window. Nor where somebody moved the traffic: only the newer change may move it again. Nor for a rollback: what a
    person takes back goes at once.
    """
    release = inputs.release
    if rollback_version(inputs.desired) is not None:
        return inputs.has_pending
    finish_first = release.is_open and release.supersede_count >= MAX_SUPERSEDES_IN_A_ROW
    finish_first = finish_first and not inputs.routing_changed_outside and not awaits_window(release)
    return inputs.has_pending and not (finish_first and spec.release.mode != "manual")


def _image_is_held(inputs: DecisionInput, now: datetime) -> bool:
    push = inputs.desired.push
    return push is not None and holds.of_digest(_holds(inputs, now), push.digest) is not None


def _holds(inputs: DecisionInput, now: datetime) -> tuple[Hold, ...]:
    return holds.active(inputs.desired, inputs.release, now)


def _held(inputs: DecisionInput, now: datetime) -> EndRelease:
    """The end of a change that is held, with the hold in its detail."""
    push, good, active = inputs.desired.push, inputs.release.last_good, _holds(inputs, now)
    hold = holds.of_digest(active, push.digest if push else "") or holds.of_fingerprint(active, _fingerprint(inputs))
    hold = hold or holds.of_digest(active, good.push.digest if good else "")
    return _answer(inputs, Reason.HELD, now, holds.describe(hold) if hold else "")


def _answer(inputs: DecisionInput, reason: Reason, now: datetime, detail: str = "") -> EndRelease:
    """The newest change is answered without a release."""
    state = transitions.answered_without_release(inputs.release, inputs.desired, reason, now, detail)
    due = transitions.first_start(inputs.observed.desired_definition) or state.secret_due
    return EndRelease(reason, replace(state, secret_due=due), detail)


def _is(version: Version, fingerprint: str, good: GoodVersion) -> bool:
    return fingerprint in (good.fingerprint, version.metadata.get(FINGERPRINT))


def _fingerprint(inputs: DecisionInput) -> str:
    definition = inputs.observed.desired_definition
    return definition.fingerprint if isinstance(definition, ResolvedDefinition) else ""
