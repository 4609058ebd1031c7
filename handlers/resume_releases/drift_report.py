"""Reports agents that somebody changed since their release: each change once, and without correcting it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from core.drift import IMAGE, find_drift, is_watched
from core.reasons import Reason
from core.state.release import ReleaseState
from core.target import by_project
from handlers.agent_states import AgentStates
from handlers.concurrency import gather_all, gather_limited
from handlers.gateways.errors import GatewayError
from handlers.gateways.interfaces import Gateways
from handlers.retry import both_with_retries
from handlers.telemetry import otel
from handlers.telemetry.decision_log import DecisionLog
from handlers.turns import Turns

MARKER = "drift-last"
MAX_AGENTS = 100
"""Of one run, in turn: with two reads each they take 40 s where Foundry takes five reads a second."""
MAX_RUN_TIME = timedelta(seconds=50)
"""No agent begins later, so that a run of the timer ends within a minute."""
MAX_CONCURRENT = 4
"""Agents of a project at a time: Foundry's rate limit is per token, and azd uses four as well."""


async def report_drift(agents: Sequence[str], states: AgentStates, decisions: DecisionLog, gateways: Gateways) -> None:
    """Check agents without a release under way, in turn; raises TransientError or PermanentError for the marker."""
    ends = gateways.clock.now() + MAX_RUN_TIME
    watched = [agent for agent in agents if await _is_watched(agent, states, gateways)]
    turns, begun = Turns(MARKER, watched, gateways.state_store), list[str]()
    chosen = await turns.next(MAX_AGENTS)

    async def check(agent: str) -> None:
        await gateways.limiter_of(agent).wait_for_room(gateways.clock)
        if gateways.clock.now() >= ends:
            return
        begun.append(agent)
        try:
            await _check(agent, states, ends, decisions, gateways)
        except GatewayError as error:
            decisions.record(Reason.DRIFT_UNKNOWN, str(error), agent=agent)

    await gather_all([gather_limited(MAX_CONCURRENT, map(check, group)) for group in by_project(chosen)])
    if len(begun) < len(chosen):
        left = len(chosen) - len(begun)
        detail = f"{left} of {len(chosen)} agents are left to the next run: Foundry answered too slowly"
        decisions.record(Reason.DRIFT_UNKNOWN, detail)
    await turns.store(begun)


async def _is_watched(agent: str, states: AgentStates, gateways: Gateways) -> bool:
    """True also where the state cannot be read, which is reported."""
    try:
        return is_watched((await states.get(agent)).release, gateways.clock.now())
    except GatewayError:
        return True


async def _check(agent: str, states: AgentStates, ends: datetime, decisions: DecisionLog, gateways: Gateways) -> None:
    release = (await states.get(agent)).release
    number = release.last_good.version if release.last_good else ""
    foundry = gateways.foundry

    drift = find_drift(
        release,
        *await both_with_retries(
            gateways.clock, lambda: foundry.get_agent(agent), lambda: foundry.get_version(agent, number), ends
        ),
    )
    gone_images = tuple(name for name in release.reported_drift if name.startswith(f"{IMAGE} "))
    names = (*drift, *gone_images)
    if names != release.reported_drift and await store_reported_drift(agent, release, names, gateways):
        for name, detail in drift.items():
            if name not in release.reported_drift:
                decisions.record(Reason.DRIFT, detail, agent=agent, version=number or None)


async def store_reported_drift(agent: str, release: ReleaseState, drift: tuple[str, ...], gateways: Gateways) -> bool:
    """Store what is reported; False where a release is under way, or has changed the state since."""
    lease = await gateways.state_store.acquire_lease(agent)
    if lease is None:
        return False
    try:
        stored = lease.state == release and await lease.write(replace(release, reported_drift=drift))
    finally:
        await lease.release()
    desired = await gateways.state_store.get_desired(agent)
    if desired.generation > lease.state.observed_generation:  # its message may have found the lease taken
        await gateways.release_queue.enqueue(agent, traceparent=desired.traceparent or otel.current_traceparent())
    return stored
