"""``prune_versions``: plan without the lease; if something is to be deleted, take the lease, plan again and delete."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from core.agents_file.spec import Agents, AgentSpec
from core.model import Routing, Version
from core.prune.retention import PRUNED, Delete, Keep, PruneDecision, near_limit, plan_prune, tagged_digests
from core.reasons import Reason
from core.state.desired import DesiredState
from core.state.release import ReleaseState
from core.target import project_of
from handlers import outcome_events
from handlers.agent_states import read_state
from handlers.concurrency import gather_all, gather_two
from handlers.gateways.errors import GatewayError
from handlers.gateways.interfaces import Gateways, Lease
from handlers.images_in_use import ImagesInUse, pushes_in_use, record_images
from handlers.lease_keeper import LeaseKeeper, LeaseLostError
from handlers.prune_versions.prune_toolbox import prune_toolbox
from handlers.prune_versions.unmanaged_agents import report_unmanaged
from handlers.prune_versions.worth_recording import worth_recording
from handlers.registry_tags import RegistryTags
from handlers.retry import both_with_retries, with_retries
from handlers.settings import Settings
from handlers.telemetry import metrics, otel
from handlers.telemetry.decision_log import DecisionLog
from handlers.turns import Turns
from handlers.version_deleter import VersionDeleter

STEP = "prune"
MAX_CONCURRENT_AGENTS = 8
MAX_RUN_TIME = timedelta(minutes=20)
"""No agent starts later: at functionTimeout the host kills the process, in the middle of a deletion."""
MARKER = "pruned-last"


@dataclass(frozen=True, slots=True)
class PrunePlan:
    """One agent's plan, and its inputs."""

    decisions: tuple[PruneDecision, ...]
    routing: Routing
    release: ReleaseState
    desired: DesiredState = field(default_factory=DesiredState)
    tagged: frozenset[str] = frozenset()
    """Digests with a tag of ``keep.tags``."""

    @property
    def versions(self) -> list[Version]:
        """Every version of the agent."""
        return [decision.version for decision in self.decisions]

    @property
    def deletions(self) -> list[Delete]:
        """The versions to delete."""
        return [decision for decision in self.decisions if isinstance(decision, Delete)]


async def plan_versions(
    spec: AgentSpec, gateways: Gateways, tags: RegistryTags | None = None, ends: datetime | None = None
) -> PrunePlan:
    """What would be deleted now, and why the rest stays; reads every page first, and any error means no plan.

    ``ends``: until when a read of Foundry is repeated; without it none is.
    """
    foundry, name, clock = gateways.foundry, spec.name, gateways.clock
    if ends is None:
        reads = gather_two(foundry.get_agent(name), foundry.list_versions(name))
    else:
        reads = both_with_retries(clock, lambda: foundry.get_agent(name), lambda: foundry.list_versions(name), ends)
    (agent, versions), (desired, release) = await gather_two(reads, read_state(name, gateways.state_store))
    if agent is None:
        return PrunePlan((), Routing(), release, desired)
    now, tagged = gateways.clock.now(), tagged_digests(spec.keep, desired.kept_tags, ())
    decisions = plan_prune(versions, agent.routing, release, spec.keep, now, tagged=tagged)
    plan = PrunePlan(decisions, agent.routing, release, desired, tagged)
    if not plan.deletions or not spec.keep.tags:
        return plan
    found = await (tags or RegistryTags(gateways.registry)).of(deletion.version for deletion in plan.deletions)
    tagged = tagged_digests(spec.keep, desired.kept_tags, found)
    decisions = plan_prune(versions, agent.routing, release, spec.keep, now, tagged=tagged)
    return replace(plan, decisions=decisions, tagged=tagged)


async def prune_versions(agents: Agents, settings: Settings, gateways: Gateways) -> None:
    """Prune every agent of agents.yaml, and record what the agents run that it does not name."""
    ends, log = gateways.clock.now() + MAX_RUN_TIME, DecisionLog(gateways.journal, gateways.clock, {"step": STEP})
    failed = await prune_agents(agents, settings, gateways)
    if gateways.clock.now() < ends and not failed.issuperset(agents.agents or [STEP]):  # else the services are down
        in_use = ImagesInUse(gateways.registry, settings.registry_login_server)
        await report_unmanaged(agents.agents, gateways, in_use, log)
        await log.flush()


async def prune_agents(agents: Agents, settings: Settings, gateways: Gateways) -> set[str]:
    """Prune these agents and return those whose run failed; an error of one agent stops none of the others.

    A run that was too short for all of them is continued by the next one.
    """
    slots: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(MAX_CONCURRENT_AGENTS))
    ends = gateways.clock.now() + MAX_RUN_TIME
    turns, begun = Turns(MARKER, agents.agents, gateways.state_store), list[str]()
    unflushed = DecisionLog(gateways.journal, gateways.clock, {})
    in_use = ImagesInUse(gateways.registry, settings.registry_login_server)
    tags, failed = RegistryTags(gateways.registry), set[str]()

    async def prune(spec: AgentSpec) -> None:
        common = {"agent": spec.name, "dry_run": settings.prune_dry_run, "step": STEP}
        log = DecisionLog(gateways.journal, gateways.clock, common)
        pruner = _Pruner(spec, settings.prune_dry_run, gateways, log, in_use, tags, ends)
        with otel.span(STEP, agent=spec.name):
            async with slots[project_of(spec.name)]:
                try:
                    await gateways.limiter_of(spec.name).wait_for_room(gateways.clock)
                    if gateways.clock.now() < ends:
                        begun.append(spec.name)
                        await pruner.prune()
                    else:
                        log.record(Reason.PRUNE_STOPPED, "20 minutes are up; the next run continues")
                except GatewayError as error:
                    failed.add(spec.name)
                    log.record(Reason.PRUNE_STOPPED, str(error))
            if not pruner.deleted:
                unflushed.take_lines(log)  # one write for all such agents
                return
            at = gateways.clock.now().isoformat()
            event = outcome_events.prune_event(spec.name, sorted(pruner.deleted, key=int), at)
            await outcome_events.publish([event], log, gateways)
            await log.flush()

    try:
        await gather_all(prune(agents.agents[name]) for name in await turns.next(len(agents.agents)))
        await turns.store(begun)
    finally:
        await unflushed.flush()
    return failed


@dataclass
class _Pruner:
    """Prunes one agent; ``deleted`` is right also where an error ends it."""

    spec: AgentSpec
    dry_run: bool
    gateways: Gateways
    log: DecisionLog
    in_use: ImagesInUse
    tags: RegistryTags
    ends: datetime
    """No read is tried again later."""
    deleted: set[str] = field(default_factory=set)

    async def prune(self) -> None:
        """Plan, delete, and record; raises TransientError or PermanentError."""
        spec, gateways = self.spec, self.gateways
        ends = self.ends
        plan = await with_retries(gateways.clock, lambda: plan_versions(spec, gateways, self.tags, ends), ends)
        metrics.version_counts(spec.name, plan.versions, spec.keep.limit)
        pause = plan.desired.pause if plan.deletions else None
        if pause is not None and pause.is_active(gateways.clock.now()):
            self.log.record(Reason.PAUSED, f"by {pause.by}: nothing is deleted meanwhile")
            return
        if self.dry_run or not plan.deletions:
            self._record(worth_recording(plan.decisions, deletes=bool(plan.deletions)))
            removed = {decision.version.number for decision in plan.deletions}
        else:
            plan, removed = await self._delete(), self.deleted
        kept = [version for version in plan.versions if version.number not in removed]
        self._record_versions(kept)
        await self._record_images(kept, plan)
        await prune_toolbox(spec, plan.versions, kept, gateways, self.log, dry_run=self.dry_run)

    async def _delete(self) -> PrunePlan:
        """Plan again under the lease and delete; returns that plan."""
        name, state_store = self.spec.name, self.gateways.state_store
        before = await state_store.get_desired(name)
        lease = await state_store.acquire_lease(name)
        if lease is None:
            self.log.record(Reason.LEASE_TAKEN)
            return await plan_versions(self.spec, self.gateways, self.tags)
        try:
            plan = await plan_versions(self.spec, self.gateways, self.tags)
            self._record(decision for decision in plan.decisions if isinstance(decision, Keep))
            await self._delete_planned(plan, lease)
        finally:
            await lease.release()
        desired = await state_store.get_desired(name)
        # a message that came meanwhile found the lease taken and is gone
        if desired != before or desired.generation > lease.state.observed_generation or lease.state.is_open:
            traceparent = desired.traceparent or otel.current_traceparent()
            await self.gateways.release_queue.enqueue(name, traceparent=traceparent)
        return plan

    async def _delete_planned(self, plan: PrunePlan, lease: Lease) -> None:
        async def is_interrupted() -> bool:
            desired = await self.gateways.state_store.get_desired(self.spec.name)
            return desired.generation > lease.state.observed_generation

        keeper = LeaseKeeper(self.gateways.clock, lease)
        deleter = VersionDeleter(self.spec, lease.state, keeper, self.gateways, self.log, is_interrupted)
        try:
            await deleter.delete_all(plan.deletions)
            await deleter.delete_all(self._replacements(plan, deleter))
        except LeaseLostError:
            self.log.record(Reason.LEASE_LOST)
        finally:
            self.deleted |= set(deleter.results) - set(deleter.not_deleted)

    def _replacements(self, plan: PrunePlan, deleter: VersionDeleter) -> list[Delete]:
        """The versions to delete instead of those that could not be deleted, near the version limit."""
        left = [version for version in plan.versions if deleter.results.get(version.number) not in PRUNED]
        if not deleter.not_deleted or not near_limit(len(left), self.spec.keep):
            return []
        now = self.gateways.clock.now()
        keep = self.spec.keep
        decisions = plan_prune(left, plan.routing, plan.release, keep, now, deleter.not_deleted, plan.tagged)
        return [decision for decision in decisions if isinstance(decision, Delete)]

    def _record(self, decisions: Iterable[PruneDecision]) -> None:
        for decision in decisions:
            self.log.record(decision.reason, version=decision.version.number)

    def _record_versions(self, kept: list[Version]) -> None:
        limit = self.spec.keep.limit
        if near_limit(len(kept), self.spec.keep):
            counts: dict[str, Any] = {"versions": len(kept), "limit": limit}
            self.log.record(Reason.VERSION_LIMIT_NEAR, f"{len(kept)} of {limit} versions", **counts)

    async def _record_images(self, kept: list[Version], plan: PrunePlan) -> None:
        """Record the images that the versions left need, for jobs that purge the registry."""
        try:
            runs = bool(kept) or plan.release.push is not None
            images = await self.in_use.read(kept, pushes_in_use(plan.desired, plan.release) if runs else ())
        except GatewayError as error:
            self.log.record(Reason.IMAGES_IN_USE_UNKNOWN, str(error))
            return
        record_images(self.log, images, versions=len(kept), limit=self.spec.keep.limit)
