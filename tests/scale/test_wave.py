"""One push to 50 agents in four projects at once: how long the wave takes beside its slowest part."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from core.target import project_of
from handlers.gateways.foundry.projects import FoundryProjects
from handlers.gateways.foundry.rate_limiter import FoundryRateLimiter
from tests.scale.fleet import FOUNDRY_SECONDS, STORAGE_SECONDS
from tests.scale.meter import MeteredGateway, RateLimit
from tests.simulation.virtual_time import VirtualClock, in_virtual_time
from tests.support.projects_app import ProjectsApp

AGENT_COUNT = 50
AGENTS = "agents:\n" + "".join(
    f"  agent-{number}: {{repository: agents/hello, stages: [{{projects: [default, eu, us, asia]}}], "
    "release: {debounce: 0s}}\n"
    for number in range(AGENT_COUNT)
)
ADDRESSES = (f'  {name}: {{endpoint: "https://{name}/api/projects/p"}}\n' for name in ("eu", "us", "asia"))
PROJECTS = f"projects:\n{''.join(ADDRESSES)}"
PROVISIONING_SECONDS = {"default": 20.0, "eu": 40.0, "us": 25.0, "asia": 60.0}
READS_PER_SECOND = 5.0
"""The default of FOUNDRY_READS_PER_SECOND."""
MAX_RATIO = 1.3


async def seconds_until_live(chosen: Callable[[str], bool], limit: float | None) -> float:
    """Virtual seconds until these targets are live; each project accepts so many requests a second."""
    app = ProjectsApp(AGENTS, PROJECTS, VirtualClock(Random(1).random))
    limiters = {name: FoundryRateLimiter(READS_PER_SECOND) for name in app.foundries}
    metered = dict[str, Any]()
    for name, foundry in app.foundries.items():
        foundry.provisioning = PROVISIONING_SECONDS[name]
        rate_limit = RateLimit(app.clock, limit)
        metered[name] = MeteredGateway(foundry, Counter(), FOUNDRY_SECONDS, rate_limit, limiters[name])
    slow: dict[str, Any] = {
        name: MeteredGateway(getattr(app.gateways, name), Counter(), STORAGE_SECONDS)
        for name in ("state_store", "journal")
    }
    router = FoundryProjects(metered["default"], lambda: app.agents.projects, lambda name, _: metered[name])
    app.gateways = replace(app.gateways, foundry=router, project_limiter=limiters.__getitem__, **slow)
    await app.pushed()
    began = app.clock.monotonic()

    async def release(target: str) -> None:
        while await app.released(target) != "LIVE":
            await app.clock.sleep(5)

    await asyncio.gather(*(release(target) for target in app.agents.agents if chosen(target)))
    return float(app.clock.monotonic() - began)


def _all(_: str) -> bool:
    return True


@in_virtual_time
async def test_a_wave_takes_little_longer_than_its_slowest_chain() -> None:
    chain = await seconds_until_live(lambda target: target == "agent-0@asia", None)
    assert await seconds_until_live(_all, None) <= MAX_RATIO * chain


@in_virtual_time
async def test_where_each_project_limits_requests_a_wave_takes_little_longer_than_its_slowest_project() -> None:
    slowest = await seconds_until_live(lambda target: project_of(target) == "asia", 10.0)
    assert await seconds_until_live(_all, 10.0) <= MAX_RATIO * slowest
