"""The local stack with two Functions hosts, each with its own clock."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from aiohttp import ClientSession

from local.control import configure
from local.endpoints import ROOT
from local.event_grid import EventGrid
from local.foundry.server import Foundry
from local.stack import Options, Stack
from tests.chaos.clocks import HostClock, library
from tests.chaos.schedule import HOSTS

AGENTS = Path(__file__).with_name("agents.yaml")
SETTINGS = {"RESUME_SCHEDULE": "*/10 * * * * *", "PRUNE_SCHEDULE": "*/15 * * * * *", "POLL_SECONDS": "0.5"}
TIMERS = ("resume_releases", "prune_versions")
VISIBILITY_TIMEOUT = 601
"""Seconds after which the message of a killed host is visible again."""


@dataclass
class Cluster:
    """A stack in a folder."""

    folder: Path
    killed: set[str] = field(default_factory=set)
    """Processes that were killed and have not been restarted yet."""
    _clocks: dict[str, HostClock] = field(default_factory=dict)
    _ports: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        options = Options(self.folder, AGENTS, free_ports=True, functions=False, retry_delay_factor=0.005)
        self.stack = Stack(options, report=lambda _: None)

    @property
    def foundry(self) -> Foundry:
        """The stand-in itself, for state that has no API."""
        return cast("Foundry", self.stack.parts["foundry"])

    @property
    def events(self) -> EventGrid:
        """The Event Grid stand-in."""
        return cast("EventGrid", self.stack.parts["eventgrid"])

    @property
    def sets_clocks(self) -> bool:
        """Whether this machine can give a process its own clock."""
        return bool(self._clocks)

    @property
    def ports(self) -> dict[int, str]:
        """Port -> name of each part."""
        urls = {name: str(url) for name, url in self.stack.endpoints.items() if name not in ("env", "ca")}
        return {port: name for name, url in urls.items() if (port := urlsplit(url).port)}

    async def up(self) -> None:
        """Start all processes; raises PartDiedError."""
        await self.stack.up()
        clock = library(self.folder)
        if clock is not None:
            self._clocks = {name: HostClock(clock, self.folder / f"{name}.clock") for name in HOSTS}
        await asyncio.gather(*(self._start(name) for name in HOSTS))

    async def down(self) -> None:
        """End all processes."""
        self.thaw()
        await self.stack.down()

    def pid(self, name: str) -> int:
        """The id of a process."""
        return self.stack.processes.pid(name)

    async def run_timers(self, host: str) -> None:
        """Run the timers of a host now, and wait until they end."""
        url = f"http://127.0.0.1:{self._ports[host]}"
        async with ClientSession(raise_for_status=True) as session:
            for name in TIMERS:
                await session.post(f"{url}/admin/functions/{name}", json={})
            while True:
                async with session.get(f"{url}/_local/invocations") as answer:
                    runs = [invocation for invocation in await answer.json() if invocation["function"] in TIMERS]
                if {run["function"] for run in runs} == set(TIMERS) and all(run["ended"] for run in runs):
                    return
                await asyncio.sleep(0.1)

    def thaw(self) -> None:
        """Let the frozen second host continue."""
        os.kill(self.pid(HOSTS[1]), signal.SIGCONT)

    async def _start(self, name: str) -> None:
        folder = self.folder / name  # two real hosts share no disk
        folder.mkdir(exist_ok=True)
        clock = self._clocks[name].environment if self._clocks else {}
        environment = {**os.environ, **self.stack.endpoints["env"], **SETTINGS, **clock}
        port = str(self._ports.get(name, 0))
        arguments = ["local.functions_host", "--app", str(ROOT), "--port", port, "--folder", str(folder)]
        endpoints = await self.stack.processes.start(name, arguments, environment)
        self._ports[name] = urlsplit(endpoints["functions"]).port or 0

    async def kill(self, name: str, for_seconds: float) -> None:
        """``kill -9`` a process, and restart it with the same address and state."""
        await self.stack.processes.kill(name)
        await asyncio.sleep(for_seconds)
        await (self.stack.start_storage() if name == "storage" else self._start(name))
        self.killed.discard(name)

    def set_clock(self, host: str, seconds: int) -> bool:
        """Set a host's clock ahead of this machine's; False if that is not possible."""
        if self._clocks:
            self._clocks[host].set(seconds)
        return bool(self._clocks)

    async def advance_storage(self, seconds: float) -> None:
        """Let leases and hidden messages expire."""
        await configure(self.control("blob"), "blob", "clock", {"advance_s": seconds})

    async def set_elapsed_time(self, seconds: int) -> None:
        """Set both hosts' clocks ahead by this much in total, and let leases and hidden messages expire."""
        for host in HOSTS:
            self.set_clock(host, seconds)
        await self.advance_storage(VISIBILITY_TIMEOUT)

    def control(self, part: str) -> dict[str, str]:
        """The address of a part's control routes, without the account at the end of a storage endpoint."""
        url = urlsplit(self.stack.endpoints[part])
        return {part: f"{url.scheme}://{url.netloc}"}
