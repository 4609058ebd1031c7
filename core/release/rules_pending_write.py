"""Finishes a write to Foundry whose result nobody recorded: a process stopped, or the answer was lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from core.agents_file.spec import AgentSpec
from core.reasons import Reason
from core.release import transitions
from core.release.actions import Action, Poll, Read, UpdateState
from core.release.inputs import DecisionInput, is_gone
from core.release.rules_candidate import adopt_if_as_asked_for
from core.state.release import PendingWrite, WriteKind
from core.timing import CONSISTENCY_LAG

REASON_OF = {
    WriteKind.PIN: Reason.PIN,
    WriteKind.MOVE_TRAFFIC: Reason.TRAFFIC_MOVED,
    WriteKind.ROLL_BACK: Reason.ROLLBACK,
}


def clock_moved_back(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """A write noted in the future counts from now, so that nobody waits until that time."""
    pending = inputs.release.pending_write
    if pending is None or pending.noted_at - now <= CONSISTENCY_LAG:
        return None
    state = replace(inputs.release, pending_write=replace(pending, noted_at=now))
    return UpdateState(Reason.UNCLEAR_ANSWER, state)


def unfinished_write(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Look for a pending write until it shows; once the consistency window has passed it was not applied."""
    pending = inputs.release.pending_write
    if pending is None:
        return None
    if pending.kind is WriteKind.CREATE and (action := _adopt_created(inputs, pending)):
        return action
    if now - pending.noted_at < CONSISTENCY_LAG:
        return Poll(Reason.UNCLEAR_ANSWER)
    if pending.kind is WriteKind.DELETE_DUPLICATE:
        return _unfinished_delete(inputs)
    if needed := inputs.needs(Read.AGENT):
        return needed
    agent = inputs.agent
    if pending.kind is not WriteKind.CREATE and agent is not None and agent.routing == pending.routing:
        state = transitions.routed(inputs.release, agent.routing, pending.kind, pending.noted_at)
        return UpdateState(REASON_OF[pending.kind], state)
    return UpdateState(Reason.WRITE_NOT_APPLIED, transitions.write_not_applied(inputs.release))


def _adopt_created(inputs: DecisionInput, pending: PendingWrite) -> Action | None:
    if needed := inputs.needs(Read.AGENT, Read.VERSION_LIST):
        return needed
    made = (item for item in inputs.version_list if inputs.is_for_this_release(item))
    version = next((item for item in made if int(item.number) > pending.highest_version), None)
    return adopt_if_as_asked_for(inputs, version)


def _unfinished_delete(inputs: DecisionInput) -> Action:
    """Before the window has passed nothing is created: with its last version an agent ends, and counts from 1 again."""
    number = inputs.release.candidate or ""
    if needed := inputs.needs_version(number):
        return needed
    if is_gone(inputs.version(number)):
        return UpdateState(Reason.DELETE_DUPLICATE, transitions.duplicate_deleted(inputs.release))
    return UpdateState(Reason.WRITE_NOT_APPLIED, transitions.write_not_applied(inputs.release))
