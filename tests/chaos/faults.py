"""Injects the faults of the schedule into a cluster, and counts those that were really injected."""

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
from tests.chaos.cluster import Cluster
from tests.chaos.schedule import Event

IN_STORAGE = ("blob", "queue")


@dataclass
class FaultInjector:
    """Counts the injected faults, and by part the requests that hit a fault."""

    cluster: Cluster
    injected: Counter[str] = field(default_factory=Counter)
    faulty_requests: Counter[str] = field(default_factory=Counter)

    async def inject(self, event: Event) -> None:
        """Inject the fault of an event, and count it."""
        faults: dict[str, Callable[[Event], Awaitable[bool]]] = {
            "kill -9": self._kill,
            "freeze": self._freeze,
            "delivery": self._deliver,
            "clock": self._set_clock,
            "list lag": self._lag,
        }
        try:
            was_injected = await faults.get(event.kind, self._fault)(event)
        except (ClientError, OSError):  # storage was killed at the same time
            was_injected = False
        if was_injected:
            self.injected[f"{event.kind} {event.details.get('process', '')}".strip()] += 1

    async def end(self) -> None:
        """Remove all faults."""
        await self._count_storage()
        for name, part in self.cluster.stack.parts.items():
            self._count(name, [vars(fault) for fault in part.faults])
            part.faults = []
        for name in IN_STORAGE:
            await configure(self.cluster.control(name), name, "faults", [])
        self.cluster.events.delivery_options = DeliveryOptions()
        await self._lag(Event(0, "list lag", {"seconds": 0}))

    async def _kill(self, event: Event) -> bool:
        name = event.details["process"]
        if name in self.cluster.killed:
            return False
        self.cluster.killed.add(name)  # before the first await, so that it is not killed twice
        if name == "storage":
            await self._count_storage()
        await self.cluster.kill(name, event.details["for_s"])
        return True

    async def _freeze(self, event: Event) -> bool:
        os.kill(self.cluster.pid(event.details["process"]), signal.SIGSTOP)
        await asyncio.sleep(event.details["for_s"])
        self.cluster.thaw()
        return True

    async def _deliver(self, event: Event) -> bool:
        self.cluster.events.delivery_options = DeliveryOptions(**event.details)
        return True

    async def _lag(self, event: Event) -> bool:
        project = self.cluster.foundry.project
        project.provisioning = replace(project.provisioning, list_lag_s=event.details["seconds"])
        return True

    async def _set_clock(self, event: Event) -> bool:
        process, seconds = event.details["process"], event.details["by_s"]
        if process != "storage":
            return self.cluster.set_clock(process, seconds)
        await self.cluster.advance_storage(seconds)
        return True

    async def _fault(self, event: Event) -> bool:
        part, fault = event.details["part"], event.details["fault"]
        if part in IN_STORAGE:
            await self._count_storage((part,))
            await configure(self.cluster.control(part), part, "faults", [fault])
            return True
        stand_in = self.cluster.stack.parts[part]
        self._count(part, [vars(current) for current in stand_in.faults])
        stand_in.faults = [Fault(**fault)]
        return True

    async def _count_storage(self, parts: tuple[str, ...] = IN_STORAGE) -> None:
        async with ClientSession(connector=TCPConnector(ssl=False)) as session:
            for part in parts:
                async with session.get(f"{self.cluster.control(part)[part]}/_local/faults") as answer:
                    self._count(part, await answer.json())

    def _count(self, part: str, faults: list[dict[str, Any]]) -> None:
        for fault in faults:
            self.faulty_requests[part] += fault["used"]
