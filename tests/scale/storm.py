"""A storm: ten thousand events of pushes that arrive in one second, in any order; the real handlers in virtual time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from core.events import ImagePushed
from core.model import Push
from core.state.desired import DesiredState
from handlers.events.image_pushed import handle_push
from handlers.gateways.errors import STORAGE, GatewayError, TransientError
from handlers.gateways.in_memory.release_queue import InMemoryReleaseQueue, Message
from handlers.gateways.in_memory.state_store import InMemoryStateStore
from handlers.gateways.storage.state_store import MAX_WRITE_ATTEMPTS
from handlers.telemetry.decision_log import DecisionLog
from tests.scale.fleet import MAX_CONCURRENT_RELEASES, RETRY_AFTER, STORAGE_SECONDS, Fleet, Load, digest_of
from tests.simulation.virtual_time import run

EVENTS = 10_000
MAX_SECONDS = 2 * 3600.0
STORM_HEADINGS = ("repositories", "order", "instances", "Foundry takes", "events noted after", "storage an event",
                  "lost", "releases queue", "newest live", "all live after", "429")  # fmt: skip


class ContendedStateStore(InMemoryStateStore):
    """A state store whose desired states are written on condition, as blobs are: of writes at one time one succeeds."""

    requests = 0

    async def update_desired(self, agent: str, change: Callable[[DesiredState], DesiredState]) -> DesiredState:
        """Read, change and write; raises TransientError where others always write between."""
        for _ in range(MAX_WRITE_ATTEMPTS):
            before = await self._request(agent)
            after = change(before)
            if after == before:
                return after
            if await self._request(agent) == before:
                self.desired[agent] = after
                return after
        raise TransientError(STORAGE, "contended", f"write {agent}")

    async def _request(self, agent: str) -> DesiredState:
        self.requests += 1
        await asyncio.sleep(STORAGE_SECONDS)
        return self.desired.get(agent, DesiredState())


@dataclass(frozen=True)
class Storm:
    """So many repositories get the events, in turn."""

    repositories: int
    instances: int
    foundry_limit: float = 5.0
    events: int = EVENTS
    shuffled: bool = True
    """In any order; else the oldest one first, so that each event is news."""


@dataclass(frozen=True)
class StormRow:
    """What became of a storm."""

    storm: Storm
    noted_seconds: float
    """Until the last event was handled."""
    storage_requests: int
    """Of the events alone, reads and writes of desired states and messages."""
    lost: int
    """Events that ended in the poison queue."""
    most_waiting: int
    """The longest that the queue ``releases`` was."""
    live: int
    """Repositories whose newest push has the traffic."""
    live_seconds: float | None
    """Until that was so for all; None where it was not within two hours."""
    refused: float

    def cells(self) -> list[str]:
        """Return the cells in the order of the headings."""
        storm = self.storm
        return [
            f"{storm.repositories:,}", "any" if storm.shuffled else "oldest first", str(storm.instances),
            f"{storm.foundry_limit:g}/s", f"{self.noted_seconds:,.0f} s", f"{self.storage_requests / storm.events:.1f}",
            str(self.lost), f"{self.most_waiting:,}", f"{self.live:,} of {storm.repositories:,}",
            "never" if self.live_seconds is None else f"{self.live_seconds:,.0f} s", f"{100 * self.refused:.0f} %",
        ]  # fmt: skip


class StormFleet(Fleet):
    """A fleet to which all events come at once, through the queue ``events``."""

    def __init__(self, storm: Storm, seed: int = 1) -> None:
        load = Load(storm.repositories, 0, storm.instances, foundry_limit=storm.foundry_limit,
                    read_budget=max(5.0, storm.foundry_limit))  # fmt: skip
        super().__init__(load, seed)
        self.storm, self.events = storm, InMemoryReleaseQueue(self.clock)
        self.newest: dict[str, str] = {}
        self.behind: set[str] = set()
        self.most_waiting = 0

    def new_state_store(self) -> InMemoryStateStore:
        """One whose writes may conflict."""
        return ContendedStateStore(self.clock)

    async def storm_row(self) -> StormRow:
        """Run until every repository's newest push is live, for two hours at most."""
        await self._create_versions()
        await asyncio.sleep(1.0)
        await self._arrive()
        began, instances = self.clock.monotonic(), range(self.load.instances)
        works = [self._work(number) for _ in range(MAX_CONCURRENT_RELEASES) for number in instances]
        tasks = [asyncio.ensure_future(work) for work in (*works, self._resume())]
        notes = [self._note(number) for _ in range(MAX_CONCURRENT_RELEASES) for number in instances]
        await asyncio.gather(*notes)
        noted, store = self.clock.monotonic() - began, self.state_store
        assert isinstance(store, ContendedStateStore)
        requests = store.requests + len(self.queue.sent)
        while self.behind and self.clock.monotonic() - began < MAX_SECONDS:
            self.most_waiting = max(self.most_waiting, len(self.queue.waiting))
            await asyncio.sleep(5.0)
        seconds = None if self.behind else self.clock.monotonic() - began
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        sent = sum(count for name, count in self.measured.foundry.items() if name != "429")
        live, refused = self.storm.repositories - len(self.behind), self.measured.foundry["429"] / max(1, sent)
        lost = len(self.events.poison)
        return StormRow(self.storm, noted, requests, lost, self.most_waiting, live, seconds, refused)

    async def _arrive(self) -> None:
        """The events wait in the queue, in any order; each push is a moment younger than the one before."""
        names, first = list(self.agents.agents), self.clock.now() - timedelta(seconds=1)
        order = list(range(self.storm.events))
        for number in order:
            name = names[number % len(names)]
            pushed_at = first + timedelta(seconds=number / self.storm.events)
            push = Push(f"agents/{name}", digest_of(f"push {number}"), f"v{number}", pushed_at, f"event-{number}")
            self.pushes[str(number)], self.newest[name] = push, push.digest
        self.behind = set(names)
        if self.storm.shuffled:
            self.random.shuffle(order)
        for number in order:
            await self.events.enqueue(str(number))

    async def _note(self, number: int) -> None:
        """Handle events until none is left; one that failed comes again, five times at most."""
        gateways = self.instances[number]
        while self.events.waiting:
            message = self.events.take()
            if message is None:
                await asyncio.sleep(1.0)
                continue
            await self._note_one(message, gateways)
            self.most_waiting = max(self.most_waiting, len(self.queue.waiting))

    async def _note_one(self, message: Message, gateways: Any) -> None:
        decisions = DecisionLog(gateways.journal, self.clock, {})
        try:
            await handle_push(ImagePushed(self.pushes[message.agent]), self.agents, decisions, gateways)
        except GatewayError:
            self.events.retry(message, RETRY_AFTER)

    def went_live(self, version: Any) -> None:
        """Note which repositories' newest push has the traffic."""
        digest = version.image.rpartition("@")[2]
        self.behind -= {name for name, newest in self.newest.items() if newest == digest}


def measure_storm(storm: Storm) -> StormRow:
    """Run a storm without logging."""

    async def run_storm() -> StormRow:
        return await StormFleet(storm).storm_row()

    logging.disable(logging.CRITICAL)
    try:
        return run(run_storm())
    finally:
        logging.disable(logging.NOTSET)
