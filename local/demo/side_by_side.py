"""Plays the scenes of independent agents at the same time, and shows them one after another."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from local.demo.output import Output, Place
from local.demo.scenario import Scenario, Scene
from local.demo.stack_driver import StackDriver


async def play_side_by_side(scenes: Sequence[tuple[str, Scene]], driver: StackDriver, output: Output) -> None:
    """Play scenes beside their agents' names, in the order of the screen.

    The first is played alone, while every service is slow; then the scenes of each agent follow each other.
    """
    places = [Place(output.console) for _ in scenes]
    parts = [Output(place, scenes=number) for number, place in enumerate(places)]
    newest: dict[str, asyncio.Task[None]] = {}
    tasks: list[asyncio.Task[None]] = []
    for part, (agent, scene) in zip(parts, scenes, strict=True):
        before = newest.get(agent, tasks[0] if tasks else None)
        newest[agent] = asyncio.create_task(_play(scene, Scenario(driver, part), before))
        tasks.append(newest[agent])
    try:
        for place, part, task in zip(places, parts, tasks, strict=True):
            place.show()
            await task
            output.assertions += part.assertions
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _play(scene: Scene, scenario: Scenario, before: asyncio.Task[None] | None) -> None:
    if before is not None:
        await before
    await scene(scenario)
