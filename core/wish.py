"""The first rows of the table: what was left unfinished, and what is newly wanted."""

from __future__ import annotations

from datetime import datetime, timedelta

from core import notes
from core.definition import FINGERPRINT, Unresolved
from core.model import Status, Version
from core.reasons import Reason, by_code
from core.record import Act, Good, Stage
from core.rules import AgentRule
from core.steps import Begin, Done, End, Note, Pin, Step, Wait, Yield
from core.world import World, lives

SETTLE = timedelta(seconds=75)
"""How long an act may take to show: an answer that was lost may still land, and reads lag up to 30 s."""
OVERTAKEN = 3
"""Releases ended by a newer wish in a row, after which one is finished first."""


def agent_deleted(world: World, rule: AgentRule, now: datetime) -> Step | None:
    """Row 1: a number that was born again, or whose agent is gone, names nothing that we know."""
    born = world.record.born
    if not born:
        return None
    if world.agent is None:
        if any(now - at < SETTLE for at in born.values()):
            return Wait(Reason.CREATE)  # the agent came with its first version: reads lag
        return End(Reason.AGENT_DELETED, notes.forgotten(world.record, world.wanted, now))
    told = [world.agent.latest, *world.facts.versions.values()]
    if any(born.get(version.number, version.created_at) != version.created_at for version in told if version):
        return End(Reason.AGENT_DELETED, notes.forgotten(world.record, world.wanted, now))
    return None


def unfinished_act(world: World, rule: AgentRule, now: datetime) -> Step | None:
    """Row 2: somebody began an act and did not note its end; look until it shows or can no more."""
    doing = world.record.doing
    if doing is None:
        return None
    settled = now - doing.since >= SETTLE
    if doing.act is Act.CREATE:
        ours = next((one for one in world.listed if world.is_ours(one) and int(one.number) > doing.highest), None)
        if ours is not None:
            return Note(Reason.ADOPT, notes.has_candidate(world.record, ours))
    if not settled:
        return Wait(Reason.UNCLEAR_ANSWER)
    agent = world.agent
    if doing.act is not Act.CREATE and agent is not None and agent.routing.pinned == doing.to:
        return Note(_reason_of(doing.act), notes.routed(world.record, agent.routing, doing.act, doing.since))
    return Note(Reason.DID_NOT_LAND, notes.not_landed(world.record))


def own_change_not_visible(world: World, rule: AgentRule, now: datetime) -> Step | None:
    """Row 3: what differs so soon after our own change is a read that lags, not a person."""
    routed_at = world.record.routed_at
    if routed_at is not None and now - routed_at < SETTLE and world.moved:
        return Wait(Reason.PROMOTE)
    return None


def promoted(world: World, rule: AgentRule, now: datetime) -> Step | None:
    """Row 4: finish what is promoted first. Check and rollback will stand here."""
    if world.record.stage is not Stage.PROMOTED:
        return None
    agent = world.agent
    if agent is None or agent.routing.pinned != world.record.candidate:
        return End(Reason.ROUTING_CHANGED, notes.ended(world.record, Reason.ROUTING_CHANGED, now))
    return End(Reason.LIVE, notes.live(world.record, now))


def paused(world: World, rule: AgentRule, now: datetime) -> Step | None:
    """Row 5: a person asked to stop."""
    pause = world.wanted.paused
    if pause is None or (pause.until is not None and pause.until <= now):
        return None
    return Done(Reason.PAUSED, f"by {pause.by}: {pause.why}")


def nothing_desired(world: World, rule: AgentRule, now: datetime) -> Step | None:
    """Row 6: nobody pushed yet, or what was asked for is not due."""
    if world.wanted.push is None:
        return Done(Reason.NOTHING_DESIRED)
    if world.wanted.due is not None and now < world.wanted.due:
        return Yield(Reason.NOT_DUE, world.wanted.due)
    return None


def routing_changed(world: World, rule: AgentRule, now: datetime) -> Step | None:
    """Row 7: a person moved the traffic; only a newer push or word of people's may move it again."""
    if not world.newer_by_people and world.moved:
        return Done(Reason.ROUTING_CHANGED)
    return None


def ended_stays_ended(world: World, rule: AgentRule, now: datetime) -> Step | None:
    """Row 8: an ended release is not begun again by itself."""
    if world.newer or world.record.open:
        return None
    reason = by_code(world.record.reason) if world.record.reason else Reason.NOTHING_DESIRED
    return Done(reason, world.record.detail, told=True)


def unresolvable(world: World, rule: AgentRule, now: datetime) -> Step | None:
    """Row 10: the newer wish cannot become a definition. Holds and image facts will stand here."""
    if not world.newer or not isinstance(world.wish, Unresolved):
        return None
    reason, detail = world.wish.reason, world.wish.detail
    return End(reason, notes.answered(world.record, world.wanted, reason, now, detail), detail)


def already_live(world: World, rule: AgentRule, now: datetime) -> Step | None:
    """Row 11: what is wanted is what serves and has proven itself."""
    good, agent = world.record.good, world.agent
    if not world.newer or good is None or agent is None or agent.live != good.version:
        return None
    wanted = _fingerprint(world)
    listed = (one for one in world.facts.listed or () if one.number == good.version)
    told = next(listed, None)  # its status may lie, its metadata never changes: it can spare a read
    serving = told if told is not None and not _is(told, wanted, good) else world.version(good.version)
    if serving is None or serving.status is not Status.ACTIVE or not _is(serving, wanted, good):
        return None
    return End(Reason.ALREADY_LIVE, notes.answered(world.record, world.wanted, Reason.ALREADY_LIVE, now))


def not_to_release(world: World, rule: AgentRule, now: datetime) -> Step | None:
    """Row 12: the rule only wants to be told, or nobody can reach the agent."""
    if not world.newer:
        return None
    disabled = world.agent is not None and not world.agent.enabled
    if rule.release.mode != "notify" and not disabled:
        return None
    reason = Reason.WOULD_RELEASE if rule.release.mode == "notify" else Reason.AGENT_DISABLED
    return End(reason, notes.answered(world.record, world.wanted, reason, now))


def pin(world: World, rule: AgentRule, now: datetime) -> Step | None:
    """Row 14: hold the traffic where it is; a version created while the endpoint follows latest is served at once."""
    agent = world.agent
    if not _begins(world) or agent is None or not agent.routing.follows_latest:
        return None
    noted = [world.record.good.version] if world.record.good else []
    noted += [world.record.candidate] if world.record.candidate else []
    for number in [*noted, *(version.number for version in world.listed)]:
        version = world.version(number)
        if version is not None and version.status is Status.ACTIVE:
            return Pin(number, agent.routing)
    return None


def begin(world: World, rule: AgentRule, now: datetime) -> Step | None:
    """Row 15: take the newer wish up; it keeps a candidate that is the same and lives."""
    if not _begins(world) or isinstance(world.wish, Unresolved):
        return None
    routing = world.agent.routing if world.agent else None
    record = notes.begun(world.record, world.wanted, world.wish, routing, now)
    if record.candidate is not None and not lives(world.version(record.candidate)):
        record = notes.without_candidate(record)
    return Begin(record, superseded=world.record if world.record.open else None)


def _begins(world: World) -> bool:
    """Row 13: a newer wish waits while the one under way was overtaken too often: a busy branch starves nobody."""
    return world.newer and not (world.record.open and world.record.overtaken >= OVERTAKEN)


def _is(version: Version, fingerprint: str, good: Good) -> bool:
    return fingerprint in (good.fingerprint, version.metadata.get(FINGERPRINT))


def _fingerprint(world: World) -> str:
    return "" if isinstance(world.wish, Unresolved) else world.wish.fingerprint


def _reason_of(act: Act) -> Reason:
    return Reason.PIN if act is Act.PIN else Reason.PROMOTE
