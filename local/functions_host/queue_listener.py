"""A queue trigger: polls, runs the function for each message, and does with the message what queue_rules decides.

The order of the requests is that of QueueListener, QueueProcessor and QueueServiceClientProvider of azure-sdk-for-net
(sdk/storage/Microsoft.Azure.WebJobs.Extensions.Storage.Queues).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from local.functions_host.dispatch import Dispatch, watched
from local.functions_host.host_json import HostSettings
from local.functions_host.indexing import Function
from local.functions_host.queue_rules import (
    POISON,
    RENEWAL_INTERVAL,
    VISIBILITY_TIMEOUT,
    Backoff,
    MessageRules,
    Step,
    decoded,
    is_poison_queue,
)
from local.functions_host.queue_storage import Message, Queue
from local.functions_host.storage_retry import Random, StorageError, with_retries

T = TypeVar("T")


class QueueListener:
    """The trigger of one queue."""

    def __init__(
        self,
        function: Function,
        open_queue: Callable[[str], Queue],
        settings: HostSettings,
        dispatch: Dispatch,
        random: Random,
    ) -> None:
        self._function = function
        self._settings = settings
        self._dispatch = dispatch
        self._random = random
        self._queue = open_queue(function.queue)
        self._poison = None if is_poison_queue(function.queue) else open_queue(function.queue + POISON)
        self._rules = MessageRules(settings.max_dequeue_count, is_poison_queue=self._poison is None)
        self._backoff = Backoff(settings.max_polling_interval, random)
        self._running: set[asyncio.Task[None]] = set()
        self._queue_exists = self._stopping = False
        self._wake = asyncio.Event()
        self.on_poisoned: Callable[[str], None] = lambda _: None
        """Gets the name of the poison queue when a message was added to it."""

    async def run(self) -> None:
        """Poll until stopped, at once after a batch and more slowly while the queue is empty; then await what runs."""
        while not self._stopping:
            pause = await self._poll()
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            self._wake.clear()
        if self._running:
            await asyncio.wait(self._running)

    def stop(self) -> None:
        """Poll no more."""
        self._stopping = True
        self._wake.set()

    def poll_now(self, queue: str) -> None:
        """End the pause if a message was added to this queue."""
        if queue == self._function.queue:
            self._wake.set()

    async def _poll(self) -> float:
        """Start what one request returns, wait until more may run, and return the pause before the next poll."""
        messages = await self._receive()
        if not messages:
            return self._backoff.pause()
        self._backoff.found()
        for message, content in messages:
            task = watched(self._handle(message, content), self._dispatch.end)
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        while len(self._running) > self._settings.new_batch_threshold:
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
        return 0.0

    async def _receive(self) -> list[tuple[Message, bytes]]:
        """Return messages and their contents; a missing queue costs one request and is never created."""
        try:
            self._queue_exists = self._queue_exists or await self._send(self._queue.exists)
            if not self._queue_exists:
                return []
            received = await self._send(partial(self._queue.receive, self._settings.batch_size, VISIBILITY_TIMEOUT))
            contents = [(message, decoded(message.text)) for message in received]
            for message, content in contents:
                if content is None:
                    print(f"functions: a message of {self._queue.name} is not base64", flush=True)
                    await self._take(self._rules.on_undecodable(), message)
        except StorageError as error:
            if not error.is_temporary:
                self._dispatch.end(f"the queue {self._queue.name} cannot be read: {error}")
            print(f"functions: the queue {self._queue.name} cannot be read: {error}", flush=True)
            return []
        return [(message, content) for message, content in contents if content is not None]

    async def _handle(self, message: Message, content: bytes) -> None:
        step = self._rules.on_receipt(message.dequeue_count)
        try:
            if step is Step.RUN:
                succeeded = await self._run(message, content)
                step = self._rules.on_end(message.dequeue_count, succeeded=succeeded)
            await self._take(step, message)
        except StorageError as error:
            self._dispatch.end(f"a message of the queue {self._queue.name} cannot be completed: {error}")

    async def _run(self, message: Message, content: bytes) -> bool:
        try:
            text = content.decode()
        except UnicodeDecodeError:  # the host cannot bind it to a text: a failed try
            print(f"functions: a message of {self._queue.name} is not UTF-8", flush=True)
            return False
        ended = asyncio.Event()
        renewing = asyncio.create_task(self._renew(message, ended))
        try:
            return await self._dispatch.run(self._function, text, metadata(message, text))
        finally:
            ended.set()
            await renewing  # so that a renewal under way leaves its receipt

    async def _renew(self, message: Message, ended: asyncio.Event) -> None:
        """Keep the message hidden while it runs; end when another client has it."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(RENEWAL_INTERVAL):
                    await ended.wait()
            if ended.is_set():
                return
            try:
                message.receipt = await self._send(partial(self._queue.hide, message, VISIBILITY_TIMEOUT))
            except StorageError as error:
                if error.is_lost_receipt:
                    return
                self._dispatch.end(f"a message of the queue {self._queue.name} cannot be kept hidden: {error}")

    async def _take(self, step: Step, message: Message) -> None:
        """Take a step that ends this try."""
        if step is Step.POISON and self._poison is not None:
            await self._add_to_poison_queue(self._poison, message.text)
        if step in (Step.POISON, Step.DELETE):
            await self._unless_lost(partial(self._queue.delete, message))
        if step is Step.RELEASE:
            await self._unless_lost(partial(self._queue.hide, message, int(self._settings.visibility_timeout)))

    async def _add_to_poison_queue(self, poison: Queue, text: str) -> None:
        """Add the text as it came; create the queue if it is missing."""
        try:
            await self._send(partial(poison.add, text))
        except StorageError as error:
            if error.status != 404:
                raise
            await self._send(poison.create)
            await self._send(partial(poison.add, text))
        self.on_poisoned(poison.name)

    async def _unless_lost(self, call: Callable[[], Awaitable[object]]) -> None:
        """Send a request about a message that may be gone, or with another client."""
        try:
            await self._send(call)
        except StorageError as error:
            if not error.is_lost_receipt:
                raise

    async def _send(self, call: Callable[[], Awaitable[T]]) -> T:
        return await with_retries(call, self._random)


def metadata(message: Message, text: str) -> dict[str, Any]:
    """Return the trigger's metadata: seven fields, and the properties of a message that is a JSON object."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    return (content if isinstance(content, dict) else {}) | {
        "Id": message.id,
        "DequeueCount": message.dequeue_count,
        "PopReceipt": message.receipt,
        "InsertionTime": message.inserted_at.isoformat(),
        "ExpirationTime": message.expires_at.isoformat(),
        "NextVisibleTime": message.visible_at.isoformat(),
        "QueueTrigger": text,
    }
