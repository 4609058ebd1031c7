"""``prune_versions``: plan without the lease; where something goes, take it, plan again, delete, record."""

from __future__ import annotations

from core.model import Status
from core.prune import Delete, Keep, plan
from core.reasons import Reason
from core.rules import AgentRule, Agents
from handlers import telemetry
from handlers.config import Settings
from handlers.decisions import Decisions
from handlers.gateways import Deleted, GatewayError, Gateways

Plan = tuple[Keep | Delete, ...]


async def handle(agents: Agents, settings: Settings, outside: Gateways) -> None:
    """Prune every agent that agents.yaml names; what one agent's reads or deletes meet stops none of the others."""
    for rule in agents.agents.values():
        decisions = Decisions(outside.journal, outside.clock, {"agent": rule.name, "dry_run": settings.prune_dry_run})
        try:
            await _prune(rule, settings, outside, decisions)
        except GatewayError as error:
            decisions.tell(Reason.PRUNE_STOPPED, str(error))
        await decisions.flush()


async def planned(rule: AgentRule, outside: Gateways) -> Plan:
    """What would go now and why the rest stays; every page is read first, and any error reads as no plan at all."""
    agent = await outside.foundry.agent(rule.name)
    if agent is None:
        return ()
    versions = await outside.foundry.versions(rule.name)
    record = await outside.ledger.record(rule.name)
    return plan(versions, agent.routing, record, rule.keep, outside.clock.now())


async def _prune(rule: AgentRule, settings: Settings, outside: Gateways, decisions: Decisions) -> None:
    lines = await planned(rule, outside)
    if settings.prune_dry_run or not _goes(lines):
        _tell(lines, decisions)
        return
    lease = await outside.ledger.lease(rule.name)
    if lease is None:
        decisions.tell(Reason.LEASE_TAKEN)
        return
    try:
        lines = await planned(rule, outside)
        _tell([line for line in lines if isinstance(line, Keep)], decisions)
        for line in _goes(lines):
            if await _newer_wish(rule.name, lease.record.seen, outside) or not await lease.renew():
                decisions.tell(Reason.PRUNE_STOPPED, "a release is waiting")
                break
            await _delete(rule, line, outside, decisions)
    finally:
        await lease.give_back()
    if await _newer_wish(rule.name, lease.record.seen, outside):
        await outside.queue.send(rule.name, traceparent=telemetry.carrier())


async def _delete(rule: AgentRule, line: Delete, outside: Gateways, decisions: Decisions) -> None:
    """Look once more, then delete: lists lie about status, and a person may have moved the traffic."""
    number = line.version.number
    agent = await outside.foundry.agent(rule.name)
    version = await outside.foundry.version(rule.name, number)
    if agent is None or agent.live == number or agent.routing.names(number):
        decisions.tell(Reason.KEPT_LIVE, version=number)
    elif version is not None and version.status in (Status.CREATING, Status.UNKNOWN):
        decisions.tell(Reason.KEPT_UNSETTLED, version=number)
    elif version is not None and await outside.foundry.delete(rule.name, number) is Deleted.SESSIONS_ACTIVE:
        decisions.tell(Reason.SESSIONS_ACTIVE, version=number)
    else:
        decisions.tell(line.reason, version=number)


async def _newer_wish(agent: str, seen: int, outside: Gateways) -> bool:
    return (await outside.ledger.wanted(agent)).serial > seen


def _goes(lines: Plan) -> list[Delete]:
    return [line for line in lines if isinstance(line, Delete)]


def _tell(lines: Plan | list[Keep], decisions: Decisions) -> None:
    for line in lines:
        decisions.tell(line.reason, version=line.version.number)
