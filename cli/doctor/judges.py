"""Checks that the project of each agent has the model that ``release.evaluate`` asks."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from cli.concurrency import read_each
from cli.doctor.result import MAX_ANSWER_SECONDS, Check, failed, late, ok, unread
from core.agents_file.spec import Agents
from handlers.gateways.errors import GatewayError
from handlers.gateways.interfaces import Foundry


async def checks(agents: Agents, foundry: Foundry) -> list[Check]:
    """Check the judge of each agent that has one."""
    judges = {name: spec.release.evaluate.judge for name, spec in agents.agents.items() if spec.release.evaluate}
    targets = sorted(name for name, judge in judges.items() if judge)
    found = await read_each(targets, lambda target: _judge(target, judges[target] or "", foundry))
    return [replace(check, agent=target) for target, check in zip(targets, found, strict=True)]


async def _judge(target: str, judge: str, foundry: Foundry) -> Check:
    check = f"{target}: judge {judge}"
    try:
        async with asyncio.timeout(MAX_ANSWER_SECONDS):
            exists = await foundry.has_model(target, judge)
    except GatewayError as error:
        return unread(check, error)
    except TimeoutError:
        return late(check)
    if exists:
        return ok(check, "is deployed")
    fix = f"az cognitiveservices account deployment create --deployment-name {judge} …"
    return failed(check, "the project has no deployment of this name", fix)
