"""The calls of pruning made with the SDK alone, as many at once as the product makes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from azure.ai.projects.aio import AIProjectClient

from local.credentials import AsyncLocalCredential
from local.stack_client import StackClient


def seconds_of_lists(running: StackClient, agents: Iterable[str], at_once: int) -> float:
    """Seconds that a list of each agent's versions takes, so many at once."""

    async def lists(project: AIProjectClient) -> None:
        await _each(lambda agent: _versions(project, agent), agents, at_once)

    return _timed(running, lists)


def seconds_of_deletions(running: StackClient, agent: str, lists: int, count: int, at_once: int) -> float:
    """Seconds that so many whole lists of an agent take, and then reading and deleting its first versions."""

    async def delete(project: AIProjectClient) -> None:
        versions = list[Any]()
        for _ in range(lists):
            versions = await _versions(project, agent)

        async def read_and_delete(number: str) -> None:
            await project.agents.get_version(agent, number)
            await project.agents.delete_version(agent, number)

        await _each(read_and_delete, [version.version for version in versions[:count]], at_once)

    return _timed(running, delete)


def _timed(running: StackClient, work: Callable[[AIProjectClient], Awaitable[None]]) -> float:
    """The seconds of the work, with a client that has sent a request before."""

    async def measure() -> float:
        endpoint, verify = running.endpoints["env"]["FOUNDRY_PROJECT_ENDPOINT"], running.endpoints["ca"]
        credential: Any = AsyncLocalCredential()
        async with AIProjectClient(endpoint, credential, connection_verify=verify) as project:
            [agent async for agent in project.agents.list()]
            began = time.perf_counter()
            await work(project)
            return time.perf_counter() - began

    return asyncio.run(measure())


async def _versions(project: AIProjectClient, agent: str) -> list[Any]:
    return [version async for version in project.agents.list_versions(agent, limit=100, order="asc")]


async def _each(work: Callable[[str], Awaitable[object]], names: Iterable[str], at_once: int) -> None:
    slots = asyncio.Semaphore(at_once)

    async def work_in_turn(name: str) -> None:
        async with slots:
            await work(name)

    await asyncio.gather(*map(work_in_turn, names))
