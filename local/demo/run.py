"""Runs the demo: starts the whole stack on free ports, plays the scenario, prints the table of assertions."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.status import Status

from local.agents.server_venv import ServerVenvError, server_python
from local.demo.output import Output, as_text, console
from local.demo.scenes import SCENES
from local.demo.side_by_side import play_side_by_side
from local.demo.stack_driver import StackDriver
from local.endpoints import PORTS
from local.processes import PartExitedError
from local.signing import stack_key
from local.stack import Options, Stack

AGENTS = Path(__file__).with_name("agents.yaml")
DATASET = AGENTS.with_name("support.jsonl")
PROVISIONING_SECONDS = 0.4
"""How long the stand-in takes to provision a version; Azure takes half a minute to five."""


async def demo(svg: Path | None = None) -> int:
    """Run the demo and return 0 only if every assertion held; ``svg`` is a file for a picture of the screen."""
    screen = console(record=svg is not None)
    with tempfile.TemporaryDirectory(prefix="slipway-demo-") as folder:
        options = Options(Path(folder), copy_agents(Path(folder)), free_ports=True, run_agents=True)
        stack = Stack(options, report=lambda _: None)
        try:
            return await _run(stack, screen, svg)
        except (PartExitedError, OSError) as error:
            screen.print(f"[red]stopped:[/] {as_text(str(error))}")
            return 1
        finally:
            await stack.down()


def copy_agents(folder: Path) -> Path:
    """Copy agents.yaml and its files into the folder of the stack: the copy is changed during the demo."""
    stack_key(folder)
    shutil.copy(DATASET, folder)
    return Path(shutil.copy(AGENTS, folder))


async def _run(stack: Stack, screen: Console, svg: Path | None) -> int:
    began, output = time.monotonic(), Output(screen)
    with screen.status("starting the stand-ins for Azure") as status:
        _, why_not = await asyncio.gather(stack.up(), _install_server(screen, status))
    output.opening(time.monotonic() - began, stack.endpoints["registry"], why_not)
    driver = StackDriver(stack.endpoints, runs_agents=not why_not)
    try:
        await play(driver, output)
    finally:
        await driver.close()
    all_true = output.closing(time.monotonic() - began, "To keep it running: make up")
    if svg is not None:
        screen.save_svg(str(svg), title="make demo")
    return 0 if all_true else 1


async def _install_server(console: Console, status: Status) -> str:
    """Install Microsoft's server for agents if it is missing; return why that is impossible, or an empty text."""

    def report(text: str) -> None:
        console.print(f"[dim]{as_text(text)}[/]")
        status.update(text)

    try:
        await server_python(report)
    except ServerVenvError as error:
        return str(error)
    return ""


async def play(driver: StackDriver, output: Output) -> None:
    """Play every scene on a running stack."""
    await driver.configure("foundry", "provisioning", {"seconds": PROVISIONING_SECONDS})
    driver.change_agents(f"https://127.0.0.1:{PORTS['foundry']}", driver.endpoints["foundry"])
    await play_side_by_side(SCENES, driver, output)


def main(svg: Path | None = None) -> int:
    """Run the demo from the command line."""
    return asyncio.run(demo(svg))
