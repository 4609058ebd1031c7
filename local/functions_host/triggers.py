"""The queue and timer triggers of the host together: started, drained, and stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from local.functions_host.dispatch import Dispatch, End, end_process, watched
from local.functions_host.host_json import HostSettings
from local.functions_host.indexing import Function
from local.functions_host.queue_listener import QueueListener
from local.functions_host.queue_storage import Queue
from local.functions_host.storage_retry import Random
from local.functions_host.timer_listener import TimerListener
from local.functions_host.timer_store import TimerStore


class Listener(Protocol):
    """A trigger that listens."""

    async def run(self) -> None:
        """Listen until stopped, then return when everything that it started has ended."""

    def stop(self) -> None:
        """Begin nothing more."""


class Triggers:
    """The listeners of a host."""

    def __init__(self, listeners: Sequence[Listener], end: End = end_process) -> None:
        self._listeners = listeners
        self._end = end
        self._tasks: list[asyncio.Task[None]] = []
        self.draining = False

    def start(self) -> None:
        """Begin to listen."""
        self._tasks = [watched(listener.run(), self._end) for listener in self._listeners]

    @property
    def idle(self) -> bool:
        """Whether every listener has stopped, and what it started has ended."""
        return all(task.done() for task in self._tasks)

    async def drain(self) -> None:
        """Take nothing more, and return when what runs has ended; the process stays up."""
        self.draining = True
        for listener in self._listeners:
            listener.stop()
        if self._tasks:
            await asyncio.wait(self._tasks)


def queue_listeners(
    functions: Iterable[Function],
    open_queue: Callable[[str], Queue],
    settings: HostSettings,
    dispatch: Dispatch,
    random: Random,
) -> list[QueueListener]:
    """Return the listeners of the queue triggers; one that poisons a message wakes the listener of that queue."""
    queues = [QueueListener(item, open_queue, settings, dispatch, random) for item in functions if item.queue]

    def poll_now(queue: str) -> None:
        for listener in queues:
            listener.poll_now(queue)

    for listener in queues:
        listener.on_poisoned = poll_now
    return queues


def timer_listeners(functions: Iterable[Function], store: TimerStore, dispatch: Dispatch) -> list[TimerListener]:
    """Return the listeners of the timer triggers."""
    return [TimerListener(item, store, dispatch) for item in functions if item.schedule]
