"""``prune_versions``: plan without the lease; where something goes, take it, plan again, delete, record."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.agents_file.spec import Agents, AgentSpec
from core.model import Routing, Version
from core.prune.retention import Delete, Keep, PruneDecision, near_limit, plan_prune
from core.reasons import Reason
from core.release.inputs import PRUNED
from core.state.release import ReleaseState
from handlers import outcome_events
from handlers.concurrency import gather_two
from handlers.gateways.errors import GatewayError
from handlers.gateways.interfaces import Gateways, Lease
from handlers.lease_keeper import LeaseKeeper, LeaseLostError
from handlers.prune_versions import prune_toolbox
from handlers.retry import with_retries
from handlers.settings import Settings
from handlers.telemetry import metrics, otel
from handlers.telemetry.decision_log import DecisionLog
from handlers.version_deleter import VersionDeleter

STEP = "prune"
AT_ONCE = 8
"""Agents looked at side by side."""
BUDGET = timedelta(minutes=20)
"""After which no other agent is begun: at functionTimeout the host kills the process, in the middle of a deletion."""
PER_LINE = 40
"""Image names in one line of telemetry, whose values are cut at 8,192 characters."""


@dataclass(frozen=True, slots=True)
class PrunePlan:
    """One agent's plan, and what it was made from."""

    lines: tuple[PruneDecision, ...]
    routing: Routing
    release: ReleaseState

    @property
    def going(self) -> list[Delete]:
        """The lines of what goes."""
        return [line for line in self.lines if isinstance(line, Delete)]


async def prune_versions(agents: Agents, settings: Settings, gateways: Gateways) -> None:
    """Prune every agent that agents.yaml names; what one agent's reads or deletes meet stops none of the others."""
    turns, ends = asyncio.Semaphore(AT_ONCE), gateways.clock.now() + BUDGET
    all_quiet = DecisionLog(gateways.journal, gateways.clock, {})

    async def one(spec: AgentSpec) -> None:
        with otel.span(STEP, agent=spec.name):
            async with turns:  # what is told afterwards keeps no other agent waiting
                told, gone = await _agent(spec, settings, gateways, ends)
            await _report(spec, told, gone, gateways, all_quiet)

    try:
        await asyncio.gather(*(one(spec) for spec in agents.agents.values()))
    finally:
        await all_quiet.flush()


async def _agent(
    spec: AgentSpec, settings: Settings, gateways: Gateways, ends: datetime
) -> tuple[DecisionLog, set[str]]:
    """What is to be told, and the versions that went."""
    about = {"agent": spec.name, "dry_run": settings.prune_dry_run, "step": STEP}
    decisions, gone = DecisionLog(gateways.journal, gateways.clock, about), set[str]()
    try:
        if gateways.clock.now() < ends:
            await _prune(spec, settings, gateways, decisions, gone)
        else:
            decisions.record(Reason.PRUNE_STOPPED, "20 minutes are up; the next run goes on")
    except GatewayError as error:
        decisions.record(Reason.PRUNE_STOPPED, str(error))
    return decisions, gone


async def _report(
    spec: AgentSpec, decisions: DecisionLog, gone: set[str], gateways: Gateways, quiet: DecisionLog
) -> None:
    """What is told where nothing went is written with that of the other agents, at the run's end."""
    if not gone:
        quiet.take_lines(decisions)
        return
    event = outcome_events.prune_event(spec.name, sorted(gone, key=int), gateways.clock.now().isoformat())
    await outcome_events.publish([event], decisions, gateways)
    await decisions.flush()


async def plan_versions(spec: AgentSpec, gateways: Gateways) -> PrunePlan:
    """What would go now and why the rest stays; every page is read first, and any error reads as no plan at all."""
    foundry, name = gateways.foundry, spec.name
    reads = gather_two(foundry.get_agent(name), foundry.list_versions(name))
    (agent, versions), release = await gather_two(reads, gateways.state_store.get_release(name))
    if agent is None:
        return PrunePlan((), Routing(), release)
    lines = plan_prune(versions, agent.routing, release, spec.keep, gateways.clock.now())
    return PrunePlan(lines, agent.routing, release)


async def _prune(
    spec: AgentSpec, settings: Settings, gateways: Gateways, decisions: DecisionLog, gone: set[str]
) -> None:
    """Tell, and delete where something goes; what went is in ``gone`` also where an error ends it."""
    found = await with_retries(gateways.clock, lambda: plan_versions(spec, gateways))
    metrics.version_counts(spec.name, [line.version for line in found.lines], spec.keep.limit)
    pause = (await gateways.state_store.get_desired(spec.name)).pause if found.going else None
    if pause is not None and pause.is_active(gateways.clock.now()):
        decisions.record(Reason.PAUSED, f"by {pause.by}: nothing is deleted meanwhile")
        return
    if settings.prune_dry_run or not found.going:
        _tell(found.lines, decisions)
        left = {line.version.number for line in found.going}
    else:
        found = await _delete(spec, settings, gateways, decisions, gone)
        left = gone
    kept = [line.version for line in found.lines if line.version.number not in left]
    _sum_up(spec, kept, decisions)
    versions = [line.version for line in found.lines]
    await prune_toolbox.prune_toolbox(spec, versions, kept, gateways, decisions, dry_run=settings.prune_dry_run)


async def _delete(
    spec: AgentSpec, settings: Settings, gateways: Gateways, decisions: DecisionLog, gone: set[str]
) -> PrunePlan:
    """Plan again under the lease and delete; returns that plan."""
    lease = await gateways.state_store.acquire_lease(spec.name)
    if lease is None:
        decisions.record(Reason.LEASE_TAKEN)
        return await plan_versions(spec, gateways)
    try:
        found = await plan_versions(spec, gateways)
        _tell([line for line in found.lines if isinstance(line, Keep)], decisions)
        pace = _pace(lease, settings, gateways)
        deleting = VersionDeleter(
            spec, lease.state, pace, gateways, decisions, lambda: _newer_wish(spec.name, lease, gateways)
        )
        try:
            await deleting.delete_all(found.going)
            await deleting.delete_all(_instead(spec, found, deleting))
        except LeaseLostError:
            decisions.record(Reason.LEASE_LOST)
        finally:
            gone |= set(deleting.results) - set(deleting.not_deleted)
    finally:
        await lease.release()
    desired = await gateways.state_store.get_desired(spec.name)
    if desired.generation > lease.state.observed_generation:
        await gateways.release_queue.enqueue(spec.name, traceparent=desired.traceparent or otel.current_traceparent())
    return found


def _instead(spec: AgentSpec, found: PrunePlan, deleting: VersionDeleter) -> list[Delete]:
    """What gives way in the place of versions that could not be deleted, where the agent is crowded."""
    left = [line.version for line in found.lines if deleting.results.get(line.version.number) not in PRUNED]
    if not deleting.not_deleted or not near_limit(len(left), spec.keep):
        return []
    now = deleting.gateways.clock.now()
    again = plan_prune(left, found.routing, found.release, spec.keep, now, deleting.not_deleted)
    return [line for line in again if isinstance(line, Delete)]


def _pace(lease: Lease, settings: Settings, gateways: Gateways) -> LeaseKeeper:
    return LeaseKeeper(gateways.clock, lease, gateways.rate_limiter)


async def _newer_wish(agent: str, lease: Lease, gateways: Gateways) -> bool:
    return (await gateways.state_store.get_desired(agent)).generation > lease.state.observed_generation


def _tell(lines: tuple[PruneDecision, ...] | list[Keep], decisions: DecisionLog) -> None:
    for line in lines:
        decisions.record(line.reason, version=line.version.number)


def _sum_up(spec: AgentSpec, kept: list[Version], decisions: DecisionLog) -> None:
    """How many are left, and the images that they need: what purges the registry can be held against it."""
    about = {"versions": len(kept), "limit": spec.keep.limit}
    if near_limit(len(kept), spec.keep):
        decisions.record(Reason.VERSION_LIMIT_NEAR, f"{len(kept)} of {spec.keep.limit} versions", **about)  # type: ignore[arg-type]
    images = sorted({version.image for version in kept if version.image})
    for start in range(0, len(images), PER_LINE):
        decisions.record(Reason.IMAGES_IN_USE, images=" ".join(images[start : start + PER_LINE]), **about)  # type: ignore[arg-type]
