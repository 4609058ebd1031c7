"""Does to a world what the schedule says, and counts what was really done."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from aiohttp import ClientError, ClientSession, TCPConnector

from local.control import configure
from local.event_grid import DeliveryOptions
from local.stand_in import Fault
from tests.chaos.cluster import World
from tests.chaos.schedule import Due

IN_STORAGE = ("blob", "queue")


@dataclass
class Trouble:
    """``done`` counts what was done, ``met`` the requests that met a fault."""

    world: World
    done: Counter[str] = field(default_factory=Counter)
    met: Counter[str] = field(default_factory=Counter)

    async def make(self, due: Due) -> None:
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

    async def end(self) -> None:
        """No faults any more."""
        await self._count_storage()
        for name, part in self.world.stack.parts.items():
            self._count(name, [vars(one) for one in part.faults])
            part.faults = []
        for name in IN_STORAGE:
            await configure(self.world.control(name), name, "faults", [])
        self.world.events.delivery_options = DeliveryOptions()
        await self._lag(Due(0, "list lag", {"seconds": 0}))

    async def _kill(self, due: Due) -> bool:
        name = due.what["who"]
        if name in self.world.down_now:
            return False
        self.world.down_now.add(name)  # before anything is waited for: nobody kills it twice
        if name == "storage":
            await self._count_storage()
        await self.world.kill(name, due.what["for_s"])
        return True

    async def _freeze(self, due: Due) -> bool:
        os.kill(self.world.pid(due.what["who"]), signal.SIGSTOP)
        await asyncio.sleep(due.what["for_s"])
        self.world.thaw()
        return True

    async def _deliver(self, due: Due) -> bool:
        self.world.events.delivery_options = DeliveryOptions(**due.what)
        return True

    async def _lag(self, due: Due) -> bool:
        project = self.world.foundry.project
        project.provisioning = replace(project.provisioning, list_lag_s=due.what["seconds"])
        return True

    async def _set_clock(self, due: Due) -> bool:
        who, seconds = due.what["who"], due.what["by_s"]
        if who != "storage":
            return self.world.set_clock(who, seconds)
        await self.world.advance_storage(seconds)
        return True

    async def _fault(self, due: Due) -> bool:
        part, fault = due.what["part"], due.what["fault"]
        if part in IN_STORAGE:
            await self._count_storage((part,))
            await configure(self.world.control(part), part, "faults", [fault])
            return True
        standin = self.world.stack.parts[part]
        self._count(part, [vars(one) for one in standin.faults])
        standin.faults = [Fault(**fault)]
        return True

    async def _count_storage(self, parts: tuple[str, ...] = IN_STORAGE) -> None:
        async with ClientSession(connector=TCPConnector(ssl=False)) as session:
            for part in parts:
                async with session.get(f"{self.world.control(part)[part]}/_local/faults") as answer:
                    self._count(part, await answer.json())

    def _count(self, part: str, faults: list[dict[str, Any]]) -> None:
        for one in faults:
            self.met[part] += one["used"]
