"""The first rows of the table: what was begun is finished before anything else, and a failed check is taken back."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from core.agents_file.spec import AgentSpec
from core.reasons import Reason
from core.release import transitions
from core.release.actions import Action, Poll, UpdateState
from core.release.inputs import DecisionInput
from core.state.release import WriteKind
from core.timing import CONSISTENCY_LAG

REASON_OF = {
    WriteKind.PIN: Reason.PIN,
    WriteKind.MOVE_TRAFFIC: Reason.TRAFFIC_MOVED,
    WriteKind.ROLL_BACK: Reason.ROLLBACK,
}


def write_from_the_future(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Row 2, before anything else of it: an act that began in our future counts from now: nobody waits until then."""
    doing = inputs.release.pending_write
    if doing is None or doing.noted_at - now <= CONSISTENCY_LAG:
        return None
    return UpdateState(Reason.UNCLEAR_ANSWER, replace(inputs.release, pending_write=replace(doing, noted_at=now)))


def unfinished_write(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Row 2: somebody began an act and did not note its end; look until it shows or can no more."""
    doing = inputs.release.pending_write
    if doing is None:
        return None
    settled = now - doing.noted_at >= CONSISTENCY_LAG
    if doing.kind is WriteKind.CREATE:
        ours = next(
            (
                one
                for one in inputs.version_list
                if inputs.is_for_this_release(one) and int(one.number) > doing.highest_version
            ),
            None,
        )
        if ours is not None:
            return UpdateState(Reason.ADOPT, transitions.has_candidate(inputs.release, ours))
    if not settled:
        return Poll(Reason.UNCLEAR_ANSWER)
    agent = inputs.agent
    if doing.kind is not WriteKind.CREATE and agent is not None and agent.routing == doing.routing:
        return UpdateState(
            REASON_OF[doing.kind], transitions.routed(inputs.release, agent.routing, doing.kind, doing.noted_at)
        )
    return UpdateState(Reason.WRITE_NOT_APPLIED, transitions.write_not_applied(inputs.release))
