"""One push to 50 agents in four projects at once: how long the wave takes beside its slowest part."""

from __future__ import annotations

import asyncio
import json
import resource
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
from tests.simulation.virtual_time import VirtualClock, run
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


WAVE_HEADINGS = ("each project accepts", "all targets live after", "the slowest project alone", "÷", "one target alone")
WAVE_LIMITS = (None, 2 * READS_PER_SECOND, READS_PER_SECOND)
"""Requests that each project accepts a second; None: any number."""


def wave_cells(limit: float | None) -> list[str]:
    """Return the cells of a wave, in the order of the headings."""
    wave = run(seconds_until_live(lambda _: True, limit))
    project = run(seconds_until_live(lambda target: project_of(target) == "asia", limit))
    target = run(seconds_until_live(lambda target: target == "agent-0@asia", limit))
    accepts = f"{limit:g}/s" if limit else "any number"
    return [accepts, f"{wave:.0f} s", f"{project:.0f} s", f"{wave / project:.2f}", f"{target:.0f} s"]


def measure_wave() -> dict[str, Any]:
    """Return the seconds of two waves and of their slowest parts, their sizes, and the memory of this process."""
    return {
        "agents": AGENT_COUNT,
        "projects": len(PROVISIONING_SECONDS),
        "provisioning": list(PROVISIONING_SECONDS.values()),
        "requests a second": 2 * READS_PER_SECOND,
        "target": run(seconds_until_live(lambda target: target == "agent-0@asia", None)),
        "wave": run(seconds_until_live(lambda _: True, None)),
        "project": run(seconds_until_live(lambda target: project_of(target) == "asia", 2 * READS_PER_SECOND)),
        "limited wave": run(seconds_until_live(lambda _: True, 2 * READS_PER_SECOND)),
        "MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


if __name__ == "__main__":
    print(json.dumps(measure_wave()))  # noqa: T201 - the bench reads it
