"""Finishes a write to Foundry whose result nobody recorded: a process stopped, or the answer was lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from core.agents_file.spec import AgentSpec
from core.model import Routing
from core.reasons import Reason
from core.release import transitions
from core.release.actions import Action, Poll, Read, UpdateState, describe_rollback
from core.release.inputs import DecisionInput, is_gone
from core.release.rules_candidate import adopt_if_as_asked_for
from core.state.release import PendingWrite, ReleaseState, WriteKind
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
    if pending.kind in REASON_OF and pending.routing is not None:
        return _unfinished_routing(inputs, pending, pending.routing, now)
    if now - pending.noted_at < CONSISTENCY_LAG:
        return Poll(Reason.UNCLEAR_ANSWER)
    if pending.kind is WriteKind.DELETE_DUPLICATE:
        return _unfinished_delete(inputs)
    return UpdateState(Reason.WRITE_NOT_APPLIED, transitions.write_not_applied(inputs.release))


def _unfinished_routing(inputs: DecisionInput, pending: PendingWrite, to: Routing, now: datetime) -> Action:
    """A routing that a read showed was applied, also where somebody moves the traffic back before the window is over.

    Without that record the two look alike, a move that was undone and one that was never applied.
    """
    if needed := inputs.needs(Read.AGENT):
        return needed
    shows = inputs.agent is not None and inputs.agent.routing == to
    if now - pending.noted_at < CONSISTENCY_LAG:
        is_first = shows and pending.seen_at is None and _shows_no_earlier_routing(inputs.release, pending, now)
        seen = replace(inputs.release, pending_write=replace(pending, seen_at=now))
        return Poll(Reason.UNCLEAR_ANSWER, state=seen if is_first else None)
    applied_at = pending.noted_at if shows else pending.seen_at  # reads may lag behind a write that was applied late
    if applied_at is None or inputs.agent is None:
        return UpdateState(Reason.WRITE_NOT_APPLIED, transitions.write_not_applied(inputs.release))
    detail = describe_rollback(inputs.release, to) if pending.kind is WriteKind.ROLL_BACK else ""
    return UpdateState(
        REASON_OF[pending.kind], transitions.routed(inputs.release, to, pending.kind, applied_at), detail=detail
    )


def _shows_no_earlier_routing(release: ReleaseState, pending: PendingWrite, now: datetime) -> bool:
    """False where a stale read may show the time before our last routing write.

    A rollback goes to the routing before the move: it would count as applied while the failed version serves. A version
    that this release created had no traffic before; times alone do not show it where our clock is behind Foundry's.
    """
    if release.routed_at is None or now - release.routed_at >= CONSISTENCY_LAG:
        return True
    if pending.kind is not WriteKind.MOVE_TRAFFIC or release.started_at is None or release.has_older_candidate:
        return False
    created_at = release.created_at.get(release.candidate or "")
    return created_at is not None and created_at >= release.started_at


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
        return UpdateState(Reason.DELETE_DUPLICATE, transitions.candidate_deleted(inputs.release))
    return UpdateState(Reason.WRITE_NOT_APPLIED, transitions.write_not_applied(inputs.release))
