"""Runs the demo: the whole stack on free ports, the story, the table."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from local.demo.output import Screen, console
from local.demo.scenario import SECONDS, STORY, Story
from local.demo.stack_driver import World
from local.processes import PartDiedError
from local.stack import Options, Stack

AGENTS = Path(__file__).with_name("agents.yaml")


async def demo(picture: Path | None = None) -> int:
    """Tell the story; 0 only where all of it was true. ``picture`` takes the screen as SVG."""
    screen = Screen(console(record=picture is not None))
    with tempfile.TemporaryDirectory(prefix="slipway-demo-") as folder:
        options = Options(Path(folder), AGENTS, free_ports=True)
        stack = Stack(options, say=lambda _: None)
        try:
            return await _tell(stack, screen, picture)
        except (PartDiedError, OSError) as error:
            screen.console.print(f"[red]stopped:[/] {error}")
            return 1
        finally:
            await stack.down()


async def _tell(stack: Stack, screen: Screen, picture: Path | None) -> int:
    began = time.monotonic()
    with screen.console.status("starting the parts of Azure"):
        await stack.up()
    screen.opening(time.monotonic() - began, stack.endpoints["registry"])
    world = World(stack.endpoints)
    try:
        await story(world, screen)
    finally:
        await world.close()
    true = screen.closing(time.monotonic() - began, "To keep it running: make up")
    if picture is not None:
        screen.console.save_svg(str(picture), title="make demo")
    return 0 if true else 1


async def story(world: World, screen: Screen) -> None:
    """Every scene, on a stack that runs."""
    await world.tell("foundry", "provisioning", {"seconds": SECONDS})
    for agent in ("careful", "billing"):  # they go live while the first scenes are shown
        await world.push(f"agents/{agent}", "v1", f"first-{agent}")
    for scene in STORY:
        await scene(Story(world, screen))


def main(picture: Path | None = None) -> int:
    """The demo from the command line."""
    return asyncio.run(demo(picture))
