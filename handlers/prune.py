"""``prune_versions``: plan without the lease; where something goes, take it, plan again, delete, record."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from core.model import Routing, Version
from core.prune import Delete, Keep, Line, crowded, plan
from core.reasons import Reason
from core.record import Record, Wanted
from core.rules import AgentRule, Agents
from core.world import PRUNED
from handlers import prune_toolbox, telemetry
from handlers.config import Settings
from handlers.decisions import Decisions
from handlers.deleting import Deleting
from handlers.gateways import GatewayError, Gateways, Lease
from handlers.pace import LeaseLostError, Pace
from handlers.together import together

AT_ONCE = 8
"""Agents looked at side by side."""
PER_LINE = 40
"""Image names in one line of telemetry, whose values are cut at 8,192 characters."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One agent's plan, and what it was made from."""

    lines: tuple[Line, ...]
    routing: Routing
    record: Record
    wanted: Wanted

    @property
    def going(self) -> list[Delete]:
        """The lines of what goes."""
        return [line for line in self.lines if isinstance(line, Delete)]


async def handle(agents: Agents, settings: Settings, outside: Gateways) -> None:
    """Prune every agent that agents.yaml names; what one agent's reads or deletes meet stops none of the others."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(rule: AgentRule) -> None:
        async with turns:
            about = {"agent": rule.name, "dry_run": settings.prune_dry_run}
            decisions = Decisions(outside.journal, outside.clock, about)
            try:
                await _prune(rule, settings, outside, decisions)
            except GatewayError as error:
                decisions.tell(Reason.PRUNE_STOPPED, str(error))
            await decisions.flush()

    await asyncio.gather(*(one(rule) for rule in agents.agents.values()))


async def planned(rule: AgentRule, outside: Gateways) -> Planned:
    """What would go now and why the rest stays; every page is read first, and any error reads as no plan at all."""
    foundry, ledger, name = outside.foundry, outside.ledger, rule.name
    reads = together(foundry.agent(name), foundry.versions(name))
    (agent, versions), (record, wanted) = await together(reads, together(ledger.record(name), ledger.wanted(name)))
    if agent is None:
        return Planned((), Routing(), record, wanted)
    lines = plan(versions, agent.routing, record, rule.keep, outside.clock.now())
    return Planned(lines, agent.routing, record, wanted)


async def _prune(rule: AgentRule, settings: Settings, outside: Gateways, decisions: Decisions) -> None:
    found = await planned(rule, outside)
    pause = found.wanted.paused
    if pause is not None and pause.holds(outside.clock.now()):
        decisions.tell(Reason.PAUSED, f"by {pause.by}: nothing is deleted meanwhile")
        return
    if settings.prune_dry_run or not found.going:
        _tell(found.lines, decisions)
        gone = {line.version.number for line in found.going}
    else:
        found, gone = await _delete(rule, settings, outside, decisions)
    kept = [line.version for line in found.lines if line.version.number not in gone]
    _sum_up(rule, kept, decisions)
    versions = [line.version for line in found.lines]
    await prune_toolbox.prune(rule, versions, kept, outside, decisions, dry_run=settings.prune_dry_run)


async def _delete(
    rule: AgentRule, settings: Settings, outside: Gateways, decisions: Decisions
) -> tuple[Planned, set[str]]:
    """Plan again under the lease and delete; returns the plan, and the versions that are gone."""
    lease = await outside.ledger.lease(rule.name)
    if lease is None:
        decisions.tell(Reason.LEASE_TAKEN)
        return await planned(rule, outside), set()
    try:
        found = await planned(rule, outside)
        _tell([line for line in found.lines if isinstance(line, Keep)], decisions)
        deleting = Deleting(rule, lease.record, Pace(outside.clock, lease, settings.poll_seconds), outside, decisions)
        try:
            await deleting.all(found.going, lambda: _newer_wish(rule.name, lease, outside))
            await deleting.all(_instead(rule, found, deleting), lambda: _newer_wish(rule.name, lease, outside))
        except LeaseLostError:
            decisions.tell(Reason.LEASE_LOST)
    finally:
        await lease.give_back()
    if await _newer_wish(rule.name, lease, outside):
        await outside.queue.send(rule.name, traceparent=telemetry.carrier())
    return found, set(deleting.done) - set(deleting.stayed)


def _instead(rule: AgentRule, found: Planned, deleting: Deleting) -> list[Delete]:
    """What gives way in the place of versions that could not be deleted, where the agent is crowded."""
    left = [line.version for line in found.lines if deleting.done.get(line.version.number) not in PRUNED]
    if not deleting.stayed or not crowded(len(left), rule.keep):
        return []
    now = deleting.outside.clock.now()
    again = plan(left, found.routing, found.record, rule.keep, now, deleting.stayed)
    return [line for line in again if isinstance(line, Delete)]


async def _newer_wish(agent: str, lease: Lease, outside: Gateways) -> bool:
    return (await outside.ledger.wanted(agent)).serial > lease.record.seen


def _tell(lines: tuple[Line, ...] | list[Keep], decisions: Decisions) -> None:
    for line in lines:
        decisions.tell(line.reason, version=line.version.number)


def _sum_up(rule: AgentRule, kept: list[Version], decisions: Decisions) -> None:
    """How many are left, and the images that they need: what purges the registry can be held against it."""
    about = {"versions": len(kept), "limit": rule.keep.limit}
    if crowded(len(kept), rule.keep):
        decisions.tell(Reason.CROWDED, f"{len(kept)} of {rule.keep.limit} versions", **about)  # type: ignore[arg-type]
    images = sorted({version.image for version in kept if version.image})
    for start in range(0, len(images), PER_LINE):
        decisions.tell(Reason.IMAGES_NEEDED, images=" ".join(images[start : start + PER_LINE]), **about)  # type: ignore[arg-type]
