"""The local stack with two Functions hosts, and everything that can be done to it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from dataclasses import replace as with_changes
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from aiohttp import ClientError, ClientSession, TCPConnector

from local.control import tell
from local.eventgrid import EventGrid, Manners
from local.foundry import Foundry
from local.server import Fault
from local.settings import ROOT
from local.stack import Options, Stack
from tests.chaos.clocks import HostClock, library
from tests.chaos.schedule import HOSTS, Due

AGENTS = Path(__file__).with_name("agents.yaml")
SETTINGS = {"RESUME_SCHEDULE": "*/10 * * * * *", "PRUNE_SCHEDULE": "*/15 * * * * *", "POLL_SECONDS": "0.5"}
TIMERS = ("resume_releases", "prune_versions")
IN_STORAGE = ("blob", "queue")


@dataclass
class World:
    """A stack in a folder; ``done`` counts what was really done to it, ``met`` the requests that met a fault."""

    folder: Path
    done: Counter[str] = field(default_factory=Counter)
    met: Counter[str] = field(default_factory=Counter)
    _clocks: dict[str, HostClock] = field(default_factory=dict)
    _ports: dict[str, int] = field(default_factory=dict)
    _down: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        options = Options(self.folder, AGENTS, free_ports=True, functions=False, factor=0.005)
        self.stack = Stack(options, say=lambda _: None)

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
        arguments = ["local.host", "--app", str(ROOT), "--port", port, "--folder", str(folder)]
        told = await self.stack.processes.start(name, arguments, environment)
        self._ports[name] = urlsplit(told["functions"]).port or 0

    # What is done to it

    async def meet(self, due: Due) -> None:
        """Have it happen; counted once it did."""
        acts: dict[str, Callable[[Due], Awaitable[bool]]] = {
            "kill -9": self._kill,
            "freeze": self._freeze,
            "delivery": self._deliver,
            "clock": self._set_clock,
            "list lag": self._lag,
        }
        try:
            happened = await acts.get(due.kind, self._fault)(due)
        except (ClientError, OSError):  # storage was killed in this very moment
            happened = False
        if happened:
            self.done[f"{due.kind} {due.what.get('who', '')}".strip()] += 1

    async def _kill(self, due: Due) -> bool:
        name = due.what["who"]
        if name in self._down:
            return False
        self._down.add(name)
        if name == "storage":
            await self._count_storage()
        await self.stack.processes.kill(name)
        await asyncio.sleep(due.what["for_s"])
        await (self.stack.start_storage() if name == "storage" else self._start(name))
        self._down.discard(name)
        return True

    async def _freeze(self, due: Due) -> bool:
        os.kill(self.pid(due.what["who"]), signal.SIGSTOP)
        await asyncio.sleep(due.what["for_s"])
        self.thaw()
        return True

    async def _deliver(self, due: Due) -> bool:
        self.events.manners = Manners(**due.what)
        return True

    async def _lag(self, due: Due) -> bool:
        foundry = self.foundry.project
        foundry.provisioning = with_changes(foundry.provisioning, list_lag_s=due.what["seconds"])
        return True

    async def _set_clock(self, due: Due) -> bool:
        who, seconds = due.what["who"], due.what["by_s"]
        if who == "storage":
            return await self.advance_storage(seconds)
        if not self._clocks:
            return False
        self._clocks[who].set(seconds)
        return True

    async def advance_storage(self, seconds: float) -> bool:
        """Let leases and hidden messages run out; False while storage is down."""
        if "storage" in self._down:
            return False
        await tell(self._control("blob"), "blob", "clock", {"advance_s": seconds})
        return True

    async def _fault(self, due: Due) -> bool:
        part = due.what["part"]
        if part in IN_STORAGE:
            if "storage" in self._down:
                return False
            await self._count_storage((part,))
            await tell(self._control(part), part, "faults", [due.what["fault"]])
        else:
            standin = self.stack.parts[part]
            self._count(part, [vars(one) for one in standin.faults])
            standin.faults = [Fault(**due.what["fault"])]
        return True

    async def calm(self) -> None:
        """No faults any more; what was begun with somebody's clock ahead goes on as if the time had come."""
        await self._count_storage()
        for name, part in self.stack.parts.items():
            self._count(name, [vars(one) for one in part.faults])
            part.faults = []
        for part_name in IN_STORAGE:
            await tell(self._control(part_name), part_name, "faults", [])
        self.events.manners = Manners()
        await self._lag(Due(0, "list lag", {"seconds": 0}))

    async def pass_time(self, seconds: int) -> None:
        """Storage and both hosts believe that so much time has gone by since they were started."""
        for clock in self._clocks.values():
            clock.set(seconds)
        await self.advance_storage(601)

    async def _count_storage(self, parts: tuple[str, ...] = IN_STORAGE) -> None:
        async with ClientSession(connector=TCPConnector(ssl=False)) as session:
            for part in parts:
                async with session.get(f"{self._control(part)[part]}/_local/faults") as answer:
                    self._count(part, await answer.json())

    def _count(self, part: str, faults: list[dict[str, Any]]) -> None:
        for one in faults:
            self.met[part] += one["used"]

    def _control(self, part: str) -> dict[str, str]:
        """Control routes are above the account that the address of a storage service ends with."""
        where = urlsplit(self.stack.endpoints[part])
        return {part: f"{where.scheme}://{where.netloc}"}
