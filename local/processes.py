"""The processes of a stack, by name: started, watched and ended."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.endpoints import ROOT


class PartExitedError(Exception):
    """A process of the stack exited, or did not start."""


@dataclass
class Processes:
    """Child processes; their logs go to the folder."""

    folder: Path
    _running: dict[str, Process] = field(default_factory=dict)
    _copying: set[asyncio.Task[None]] = field(default_factory=set)

    def pid(self, name: str) -> int:
        """Return the id of a process."""
        return self._running[name].pid

    async def start(self, name: str, arguments: list[str], environment: Mapping[str, str]) -> dict[str, Any]:
        """Start a module. Its first line of output is JSON with its addresses; the rest goes to a log of that name.

        Raises PartExitedError if it exits before that line.
        """
        log = (self.folder / f"{name}.log").open("ab")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *arguments, stdout=PIPE, stderr=log, env=environment, cwd=ROOT
        )
        self._running[name] = process
        line = await process.stdout.readline() if process.stdout else b""
        if not line:
            raise PartExitedError(f"{name} did not start; see {log.name}")
        addresses: dict[str, Any] = json.loads(line)
        copying = asyncio.create_task(_copy(process, log))
        self._copying.add(copying)
        copying.add_done_callback(self._copying.discard)
        return addresses

    async def kill(self, name: str) -> None:
        """Kill a process with SIGKILL, as when its machine is taken away."""
        self._running[name].kill()
        await self._running[name].wait()

    async def wait_for_exit(self) -> None:
        """Wait until any process exits, then raise PartExitedError."""
        waits = {asyncio.create_task(process.wait()): name for name, process in self._running.items()}
        done, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        raise PartExitedError(f"{waits[done.pop()]} exited unexpectedly")

    async def down(self) -> None:
        """End all processes, the newest first: a host that stops still needs storage for the work that it finishes."""
        for process in reversed(self._running.values()):
            if process.returncode is None:
                process.terminate()
            await process.wait()
        await asyncio.gather(*self._copying)


async def _copy(process: Process, log: Any) -> None:
    with log:
        while process.stdout and (line := await process.stdout.readline()):
            log.write(line)
            log.flush()
