"""Decisions as they are made, one line each, from the journal of a running stack."""

from __future__ import annotations

from typing import Any

from local.demo.output import Screen, console
from local.demo.stack_driver import Line, World

FOR_EVER = float("inf")


async def watch(endpoints: dict[str, Any], agent: str, until: str, since: str) -> int:
    """Print what was decided since a time and is decided from now on; 0 once the reason came, 1 where it did not."""
    screen, world, came = Screen(console()), World(endpoints), [False]

    def is_it(line: Line) -> bool:
        came[0] = bool(until) and line["reason"] == until and concerns(line)
        return came[0]

    def concerns(line: Line) -> bool:
        return line["at"] >= since and agent in ("", line.get("agent"))

    try:
        async for line in world.lines(0, is_it, patience=60.0 if until else FOR_EVER):
            if concerns(line):
                screen.decided(line)
    finally:
        await world.close()
    return 0 if came[0] or not until else 1
