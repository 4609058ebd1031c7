"""The local stack with two Functions hosts, each with a clock of its own."""

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
HIDDEN = 601
"""Seconds after which a message is there again whose host died."""


@dataclass
class World:
    """A stack in a folder."""

    folder: Path
    down_now: set[str] = field(default_factory=set)
    """Processes that were killed and are not back yet."""
    _clocks: dict[str, HostClock] = field(default_factory=dict)
    _ports: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        options = Options(self.folder, AGENTS, free_ports=True, functions=False, retry_delay_factor=0.005)
        self.stack = Stack(options, report=lambda _: None)

    @property
    def foundry(self) -> Foundry:
        """The stand-in itself, for what only it knows."""
        return cast("Foundry", self.stack.parts["foundry"])

    @property
    def events(self) -> EventGrid:
        """The stand-in that delivers."""
        return cast("EventGrid", self.stack.parts["eventgrid"])

    @property
    def sets_clocks(self) -> bool:
        """False where this machine cannot give a process a clock of its own."""
        return bool(self._clocks)

    @property
    def ports(self) -> dict[int, str]:
        """Where each part listens, and its name."""
        urls = {name: urlsplit(str(at)).port for name, at in self.stack.endpoints.items() if name not in ("env", "ca")}
        return {port: name for name, port in urls.items() if port}

    async def up(self) -> None:
        """Start everything; raises PartDiedError."""
        await self.stack.up()
        clock = library(self.folder)
        if clock is not None:
            self._clocks = {name: HostClock(clock, self.folder / f"{name}.clock") for name in HOSTS}
        await asyncio.gather(*(self._start(name) for name in HOSTS))

    async def down(self) -> None:
        """End everything."""
        self.thaw()
        await self.stack.down()

    def pid(self, name: str) -> int:
        """The id of a process."""
        return self.stack.processes.pid(name)

    async def run_timers(self, host: str) -> None:
        """Have a host run its timers now, and wait for their end."""
        url = f"http://127.0.0.1:{self._ports[host]}"
        async with ClientSession(raise_for_status=True) as session:
            for name in TIMERS:
                await session.post(f"{url}/admin/functions/{name}", json={})
            while True:
                async with session.get(f"{url}/_local/invocations") as answer:
                    ran = [one for one in await answer.json() if one["function"] in TIMERS]
                if {one["function"] for one in ran} == set(TIMERS) and all(one["ended"] for one in ran):
                    return
                await asyncio.sleep(0.1)

    def thaw(self) -> None:
        """Have the second host go on where it was frozen."""
        os.kill(self.pid(HOSTS[1]), signal.SIGCONT)

    async def _start(self, name: str) -> None:
        folder = self.folder / name  # of its own: two real hosts share no disk
        folder.mkdir(exist_ok=True)
        clock = self._clocks[name].environment if self._clocks else {}
        environment = {**os.environ, **self.stack.endpoints["env"], **SETTINGS, **clock}
        port = str(self._ports.get(name, 0))
        arguments = ["local.functions_host", "--app", str(ROOT), "--port", port, "--folder", str(folder)]
        told = await self.stack.processes.start(name, arguments, environment)
        self._ports[name] = urlsplit(told["functions"]).port or 0

    async def kill(self, name: str, for_seconds: float) -> None:
        """``kill -9``, and start it again at its address with its state."""
        await self.stack.processes.kill(name)
        await asyncio.sleep(for_seconds)
        await (self.stack.start_storage() if name == "storage" else self._start(name))
        self.down_now.discard(name)

    def set_clock(self, host: str, seconds: int) -> bool:
        """Set a host's clock ahead of ours; False where that cannot be done."""
        if self._clocks:
            self._clocks[host].set(seconds)
        return bool(self._clocks)

    async def advance_storage(self, seconds: float) -> None:
        """Let leases and hidden messages run out."""
        await configure(self.control("blob"), "blob", "clock", {"advance_s": seconds})

    async def pass_time(self, seconds: int) -> None:
        """Storage and both hosts believe that so much time has gone by since they were started."""
        for host in HOSTS:
            self.set_clock(host, seconds)
        await self.advance_storage(HIDDEN)

    def control(self, part: str) -> dict[str, str]:
        """Control routes are above the account that the address of a storage service ends with."""
        where = urlsplit(self.stack.endpoints[part])
        return {part: f"{where.scheme}://{where.netloc}"}
