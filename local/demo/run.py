"""Runs the demo: starts the whole stack on free ports, plays the scenario, prints the table of assertions."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from local.demo.output import Output, as_text, console
from local.demo.scenario import SCENES, Scenario
from local.demo.stack_driver import StackDriver
from local.processes import PartExitedError
from local.stack import Options, Stack

AGENTS = Path(__file__).with_name("agents.yaml")
PROVISIONING_SECONDS = 0.4
"""How long the stand-in takes to provision a version; Azure takes half a minute to five."""


async def demo(svg: Path | None = None) -> int:
    """Run the demo and return 0 only if every assertion held; ``svg`` is a file for a picture of the screen."""
    output = Output(console(record=svg is not None))
    with tempfile.TemporaryDirectory(prefix="slipway-demo-") as folder:
        options = Options(Path(folder), AGENTS, free_ports=True)
        stack = Stack(options, report=lambda _: None)
        try:
            return await _run(stack, output, svg)
        except (PartExitedError, OSError) as error:
            output.console.print(f"[red]stopped:[/] {as_text(str(error))}")
            return 1
        finally:
            await stack.down()


async def _run(stack: Stack, output: Output, svg: Path | None) -> int:
    began = time.monotonic()
    with output.console.status("starting the stand-ins for Azure"):
        await stack.up()
    output.opening(time.monotonic() - began, stack.endpoints["registry"])
    driver = StackDriver(stack.endpoints)
    try:
        await play(driver, output)
    finally:
        await driver.close()
    all_true = output.closing(time.monotonic() - began, "To keep it running: make up")
    if svg is not None:
        output.console.save_svg(str(svg), title="make demo")
    return 0 if all_true else 1


async def play(driver: StackDriver, output: Output) -> None:
    """Play every scene on a running stack."""
    await driver.configure("foundry", "provisioning", {"seconds": PROVISIONING_SECONDS})
    for agent in ("careful", "billing"):  # they go live while the first scenes are shown
        await driver.push(f"agents/{agent}", "v1", f"first-{agent}")
    for scene in SCENES:
        await scene(Scenario(driver, output))


def main(svg: Path | None = None) -> int:
    """Run the demo from the command line."""
    return asyncio.run(demo(svg))
