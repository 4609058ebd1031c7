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

REASON_OF = {WriteKind.PIN: Reason.PIN, WriteKind.MOVE_TRAFFIC: Reason.PROMOTE, WriteKind.ROLL_BACK: Reason.ROLLBACK}


def write_from_the_future(world: DecisionInput, rule: AgentSpec, now: datetime) -> Action | None:
    """Row 2, before anything else of it: an act that began in our future counts from now: nobody waits until then."""
    doing = world.release.pending_write
    if doing is None or doing.noted_at - now <= CONSISTENCY_LAG:
        return None
    return UpdateState(Reason.UNCLEAR_ANSWER, replace(world.release, pending_write=replace(doing, noted_at=now)))


def unfinished_write(world: DecisionInput, rule: AgentSpec, now: datetime) -> Action | None:
    """Row 2: somebody began an act and did not note its end; look until it shows or can no more."""
    doing = world.release.pending_write
    if doing is None:
        return None
    settled = now - doing.noted_at >= CONSISTENCY_LAG
    if doing.kind is WriteKind.CREATE:
        ours = next((one for one in world.version_list if world.is_for_this_release(one) and int(one.number) > doing.highest_version), None)
        if ours is not None:
            return UpdateState(Reason.ADOPT, transitions.has_candidate(world.release, ours))
    if not settled:
        return Poll(Reason.UNCLEAR_ANSWER)
    agent = world.agent
    if doing.kind is not WriteKind.CREATE and agent is not None and agent.routing == doing.routing:
        return UpdateState(
            REASON_OF[doing.kind], transitions.routed(world.release, agent.routing, doing.kind, doing.noted_at)
        )
    return UpdateState(Reason.DID_NOT_LAND, transitions.write_not_applied(world.release))
