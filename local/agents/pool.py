"""The agents of a Foundry project as processes: provisioned once, started again when asked, stopped when idle."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from local.agents.command import MACHINE_PATH, Command, command_of
from local.agents.image import ImageError, download_layers
from local.agents.process import MAX_LINES, AgentProcess, LogLine, NotReadyError, free_port
from local.agents.server_venv import ServerVenvError, server_python
from local.agents.unpack import UnpackError, unpack
from local.foundry.pull import PulledImage

IDLE_SECONDS = 30.0
"""Seconds without a question after which a process is stopped; the next question starts it again."""
MAX_RUNNING = 12
MAX_STARTING = 6
"""Starts at the same time: each costs a processor for most of a second."""


@dataclass(eq=False)
class Agent:
    """A version's files, and its process while one runs."""

    folder: Path
    variables: Mapping[str, str]
    ready_within: float
    lines: deque[LogLine] = field(default_factory=lambda: deque(maxlen=MAX_LINES))
    """The end of the output of every process of this version."""
    command: Command | None = None
    process: AgentProcess | None = None
    questions: int = 0
    """Questions that are being answered."""
    last_used: float = 0.0
    removed: bool = False
    lacks_server: bool = False
    """Microsoft's server cannot be installed here: configured answers stand in for the process."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class AgentPool:
    """Runs agents below a folder. ``python`` returns the interpreter with Microsoft's server for agents."""

    def __init__(
        self,
        folder: Path,
        report: Callable[[str], None] = lambda _: None,
        python: Callable[[Callable[[str], None]], Awaitable[Path]] = server_python,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.idle_seconds = IDLE_SECONDS
        self.max_running = MAX_RUNNING
        self._folder = folder
        self._report = report
        self._python = python
        self._clock = clock
        self._agents: list[Agent] = []
        self._starting = asyncio.Semaphore(MAX_STARTING)
        self._tasks: set[asyncio.Task[None]] = set()
        self._number = 0
        self._installing: asyncio.Future[Path] | None = None

    def start(self) -> None:
        """Stop idle agents from now on; begin to install what agents need."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._background(self._stop_idle_for_ever())
        self._background(self._install())

    async def close(self) -> None:
        """Stop every agent and remove its files."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(self.remove(agent) for agent in list(self._agents)))
        shutil.rmtree(self._folder, ignore_errors=True)

    def provision(
        self,
        name: str,
        image: PulledImage,
        variables: Mapping[str, str],
        ready_within: float,
        done: Callable[[str | None], None],
    ) -> Agent:
        """Unpack an image and start it once; ``done`` gets None when it was ready, or why it never will be."""
        self._number += 1
        agent = Agent(self._folder / f"{name}-{self._number}", variables, ready_within)
        self._agents.append(agent)
        self._background(self._provision(agent, image, done))
        return agent

    async def _provision(self, agent: Agent, image: PulledImage, done: Callable[[str | None], None]) -> None:
        try:
            await self._unpack(agent, image)
            async with self.running(agent):
                pass
            done(None)
        except ServerVenvError:
            agent.lacks_server = True
            done(None)
        except (ImageError, UnpackError, NotReadyError) as error:
            done(str(error))
        except (OSError, ValueError) as error:
            done(f"this machine cannot start it: {error}")

    async def _unpack(self, agent: Agent, image: PulledImage) -> None:
        root = Path(await asyncio.to_thread(_new_folders, agent.folder))
        layers = await download_layers(image, agent.folder / "layers")
        await asyncio.to_thread(unpack, layers, root)
        shutil.rmtree(agent.folder / "layers", ignore_errors=True)
        agent.command = command_of(image.config, root)

    @asynccontextmanager
    async def running(self, agent: Agent) -> AsyncIterator[AgentProcess]:
        """Start the agent if it is stopped, and keep it running for a question; raise NotReadyError if it cannot."""
        agent.questions += 1
        try:
            async with agent.lock:
                if agent.process is None or agent.process.exited:
                    agent.process = await self._start(agent)
                process = agent.process
            yield process
        finally:
            agent.questions -= 1
            agent.last_used = self._clock()

    async def _start(self, agent: Agent) -> AgentProcess:
        if agent.command is None or agent.removed:
            raise NotReadyError("the version is not there")
        python = await self._server_python() if agent.command.needs_python else Path()
        await self.make_room()
        async with self._starting:
            port = free_port()
            environment = _environment(agent, port, python)
            arguments = agent.command.with_python(python)
            process = await AgentProcess.start(arguments, agent.command.folder, environment, port, agent.lines)
            try:
                await process.wait_until_ready(agent.ready_within)
            except BaseException:
                await process.stop()
                raise
        return process

    async def remove(self, agent: Agent) -> None:
        """Stop a version that was deleted, and remove its files."""
        agent.removed = True
        with suppress(ValueError):
            self._agents.remove(agent)
        await _stop(agent)
        await asyncio.to_thread(shutil.rmtree, agent.folder, ignore_errors=True)

    async def stop_idle(self) -> None:
        """Stop every agent that nobody asked for a while."""
        before = self._clock() - self.idle_seconds
        await asyncio.gather(*(_stop(agent) for agent in self._idle() if agent.last_used <= before))

    async def make_room(self) -> None:
        """Stop the agents that were asked longest ago, where as many run as may."""
        running = [agent for agent in self._agents if agent.process is not None]
        idle = sorted(self._idle(), key=lambda agent: agent.last_used)
        surplus = max(0, len(running) + 1 - self.max_running)
        await asyncio.gather(*(_stop(agent) for agent in idle[:surplus]))

    def _idle(self) -> list[Agent]:
        return [agent for agent in self._agents if agent.process is not None and not agent.questions]

    async def _stop_idle_for_ever(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            await self.stop_idle()

    async def _server_python(self) -> Path:
        """Return the interpreter; it is installed once, and a failure holds until the stack is started again."""
        if self._installing is None:
            self._installing = asyncio.ensure_future(self._python(self._report))
        return await asyncio.shield(self._installing)

    async def _install(self) -> None:
        try:
            await self._server_python()
        except ServerVenvError as error:
            self._report(f"{error}; agents that need it give configured answers")

    def _background(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _stop(agent: Agent) -> None:
    async with agent.lock:
        if agent.process is not None and (agent.removed or not agent.questions):
            process, agent.process = agent.process, None
            await process.stop()


def _new_folders(folder: Path) -> str:
    """Make a version's folders and return its root, without links in its path."""
    for name in ("root", "layers", "home", "tmp"):
        (folder / name).mkdir(parents=True)
    return str((folder / "root").resolve())


def _environment(agent: Agent, port: int, python: Path) -> dict[str, str]:
    """Return all variables of the process: none of this machine but the path."""
    image = agent.command.variables if agent.command else {}
    return {
        "PATH": f"{python.parent}:{MACHINE_PATH}" if python.name else MACHINE_PATH,
        "PYTHONUNBUFFERED": "1",
        **image,
        **agent.variables,
        "HOME": str(agent.folder / "home"),
        "TMPDIR": str(agent.folder / "tmp"),
        "PORT": str(port),
    }
