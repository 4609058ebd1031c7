"""The instances of an app: processes that run handlers, crash, and run them again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from handlers.gateways.errors import GatewayError
from handlers.gateways.in_memory.release_queue import Message
from tests.simulation.faults import LATE_CALLS, PROCESS, Crash, Dice, Log, Process
from tests.simulation.release_queue import WaitingQueue
from tests.simulation.virtual_time import VirtualClock

RETRY_AFTER_CRASH, RETRY_AFTER_ERROR = 600.0, 60.0
"""Seconds until a message is visible again: the host's value, and that of host.json."""
IN_FLIGHT = {"image_pushed", "secret_changed", "person"}
"""Handlers that send a message once they have changed the desired state."""


class Instances:
    """What runs, the dice that decide about its faults, and the queue between its handlers."""

    def __init__(self, seed: int, *, harsh: float, log: Log | None) -> None:
        self.dice = Dice(seed, harsh=harsh)
        self.random = self.dice.random
        self.clock, self._log = VirtualClock(self.random.random), log
        self.queue = WaitingQueue(self.clock)
        self.crashes, self.busy, self.in_flight = 0, 0, 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._processes: set[Process] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something concurrently."""
        self._tasks.add(asyncio.create_task(work))

    def log(self, line: str) -> None:
        """Write a line of a replay."""
        if self._log is not None:
            self._log(f"{self.clock.now():%H:%M:%S} {line}")

    def end_processes(self) -> None:
        """End every process: it sends nothing more."""
        for process in self._processes:
            process.dead = True

    def raise_errors(self) -> None:
        """Raise what ended a task."""
        for task in [task for task in self._tasks if task.done()]:
            self._tasks.discard(task)
            task.result()

    async def stop(self) -> None:
        """End every task, and what takes effect late."""
        tasks = (*self._tasks, *LATE_CALLS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def until_done(self, name: str, handler: Callable[[], Awaitable[Any]]) -> None:
        """Run a handler again until it succeeds, as Event Grid delivers an event."""
        self.in_flight += name in IN_FLIGHT
        while not await self.run_handler(name, handler):
            await asyncio.sleep(10)
        self.in_flight -= name in IN_FLIGHT

    async def run_handler(self, name: str, handler: Callable[[], Awaitable[Any]]) -> bool:
        """Run a handler in a process of its own; return whether it succeeded."""
        process = Process(name)
        PROCESS.set(process)
        self._processes.add(process)
        try:
            await handler()
        except Crash:
            self.crashes += 1
            self.log(f"{name} crashed")
            return False
        except GatewayError as error:
            self.log(f"{name}: {error}")
            return False
        finally:
            self._processes.discard(process)
        return True

    async def work(self, name: str, handle: Callable[[Message], Awaitable[Any]]) -> None:
        """One instance of the app: it takes messages; after a crash it starts again."""
        while True:
            message = await self.queue.receive()
            self.busy += 1
            before, answers = self.crashes, list[Any]()

            async def answer(message: Message = message, answers: list[Any] = answers) -> None:
                answers.append(await handle(message))

            is_done = await self.run_handler(name, answer)
            self.busy -= 1
            for ended in answers:
                self.after_message(ended)
            if not is_done:
                self.queue.retry(message, RETRY_AFTER_CRASH if self.crashes > before else RETRY_AFTER_ERROR)

    def after_message(self, ended: Any) -> None:
        """Called with what a handler returned for a message."""
