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

REASON_OF = {WriteKind.PIN: Reason.PIN, WriteKind.PROMOTE: Reason.PROMOTE, WriteKind.ROLLBACK: Reason.ROLLBACK}


def noted_by_another_clock(world: DecisionInput, rule: AgentSpec, now: datetime) -> Action | None:
    """Row 2, before anything else of it: an act that began in our future counts from now: nobody waits until then."""
    doing = world.record.pending_write
    if doing is None or doing.since - now <= CONSISTENCY_LAG:
        return None
    return UpdateState(Reason.UNCLEAR_ANSWER, replace(world.record, doing=replace(doing, since=now)))


def unfinished_act(world: DecisionInput, rule: AgentSpec, now: datetime) -> Action | None:
    """Row 2: somebody began an act and did not note its end; look until it shows or can no more."""
    doing = world.record.pending_write
    if doing is None:
        return None
    settled = now - doing.since >= CONSISTENCY_LAG
    if doing.act is WriteKind.CREATE:
        ours = next((one for one in world.listed if world.is_ours(one) and int(one.number) > doing.highest), None)
        if ours is not None:
            return UpdateState(Reason.ADOPT, transitions.has_candidate(world.record, ours))
    if not settled:
        return Poll(Reason.UNCLEAR_ANSWER)
    agent = world.agent
    if doing.act is not WriteKind.CREATE and agent is not None and agent.routing == doing.to:
        return UpdateState(
            REASON_OF[doing.act], transitions.routed(world.record, agent.routing, doing.act, doing.since)
        )
    return UpdateState(Reason.DID_NOT_LAND, transitions.not_landed(world.record))
