"""The processes of a stack: started, told apart by name, ended by their ids."""

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


class PartDiedError(Exception):
    """A process of the stack ended by itself."""


@dataclass
class Processes:
    """What runs beside this process; logs are kept in the folder."""

    folder: Path
    _running: dict[str, Process] = field(default_factory=dict)
    _copying: set[asyncio.Task[None]] = field(default_factory=set)

    def pid(self, name: str) -> int:
        """The id of a process."""
        return self._running[name].pid

    async def start(self, name: str, arguments: list[str], environment: Mapping[str, str]) -> dict[str, Any]:
        """Start a module of ours; its first line says where it listens, the rest goes to a log of its name.

        Raises PartDiedError where it ends before that line.
        """
        log = (self.folder / f"{name}.log").open("ab")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *arguments, stdout=PIPE, stderr=log, env=environment, cwd=ROOT
        )
        self._running[name] = process
        line = await process.stdout.readline() if process.stdout else b""
        if not line:
            raise PartDiedError(f"{name} did not start; see {log.name}")
        told: dict[str, Any] = json.loads(line)
        copying = asyncio.create_task(_copy(process, log))
        self._copying.add(copying)
        copying.add_done_callback(self._copying.discard)
        return told

    async def kill(self, name: str) -> None:
        """``kill -9``, as a machine that is taken away ends."""
        self._running[name].kill()
        await self._running[name].wait()

    async def watch(self) -> None:
        """Return never; raises PartDiedError when a process ends."""
        waits = {asyncio.create_task(one.wait()): name for name, one in self._running.items()}
        done, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        raise PartDiedError(f"{waits[done.pop()]} ended by itself")

    async def down(self) -> None:
        """End all of them, the last that was started first."""
        for process in reversed(self._running.values()):
            if process.returncode is None:
                process.terminate()
        await asyncio.gather(*(process.wait() for process in self._running.values()))
        await asyncio.gather(*self._copying)


async def _copy(process: Process, log: Any) -> None:
    with log:
        while process.stdout and (line := await process.stdout.readline()):
            log.write(line)
            log.flush()
