"""Queue triggers: messages in batches, hidden while they run; after five attempts they go to the poison queue.

What becomes of a message follows QueueProcessor and QueueServiceClientProvider of Azure's WebJobs extension
(azure-sdk-for-net, sdk/storage/Microsoft.Azure.WebJobs.Extensions.Storage.Queues).
"""

from __future__ import annotations

import asyncio
import binascii
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.identity.aio import DefaultAzureCredential
from azure.storage.queue import QueueMessage
from azure.storage.queue.aio import QueueClient, QueueServiceClient

from local.functions_host.indexing import Function
from local.functions_host.invoker import Invoker

UNTRACED: dict[str, Any] = {"tracing_options": {"enabled": False}}
"""The real host is another process, so its polls are not in the app's telemetry."""
VISIBILITY_TIMEOUT = 600
"""Seconds that a message stays hidden while it runs, renewed at half of them, as in the real host."""
MIN_POLL_INTERVAL = 0.1
POISON = "-poison"
RETRIES: dict[str, Any] = {"initial_backoff": 1, "increment_base": 2}
"""Seconds. The real host is a .NET process, whose storage SDK first retries after 0.8 s; Python's waits 15 s."""


def queue_service(env: Mapping[str, str]) -> tuple[QueueServiceClient, DefaultAzureCredential | None]:
    """Return a client of the host's storage, from a connection string or with the app's identity."""
    if env.get("AzureWebJobsStorage"):
        return QueueServiceClient.from_connection_string(env["AzureWebJobsStorage"], **RETRIES), None
    credential = DefaultAzureCredential()
    return QueueServiceClient(env["AzureWebJobsStorage__queueServiceUri"], credential=credential, **RETRIES), credential


def seconds(text: str) -> float:
    """Parse ``hh:mm:ss`` of host.json."""
    hours, minutes, rest = text.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


class QueueListener:
    """The trigger of one queue."""

    def __init__(
        self, function: Function, service: QueueServiceClient, settings: Mapping[str, Any], invoker: Invoker
    ) -> None:
        self._function = function
        self._invoker = invoker
        self._queue = service.get_queue_client(function.queue)
        self._poison = None if function.queue.endswith(POISON) else service.get_queue_client(function.queue + POISON)
        self._batch = int(settings.get("batchSize", 16))
        self._new_batch_threshold = int(settings.get("newBatchThreshold", self._batch // 2))
        self._max_attempts = int(settings.get("maxDequeueCount", 5))
        self._retry_delay = seconds(settings.get("visibilityTimeout", "00:00:00"))
        self._max_poll_interval = seconds(settings.get("maxPollingInterval", "00:01:00"))
        self._running: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Poll until cancelled, more slowly while the queue is empty."""
        interval = MIN_POLL_INTERVAL
        try:
            while True:
                started = await self._start_batch() if len(self._running) <= self._new_batch_threshold else 0
                interval = MIN_POLL_INTERVAL if started else min(self._max_poll_interval, interval * 1.5)
                await asyncio.sleep(interval)
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    async def _start_batch(self) -> int:
        started = 0
        try:
            async for message in self._queue.receive_messages(
                max_messages=self._batch, visibility_timeout=VISIBILITY_TIMEOUT, **UNTRACED
            ):
                started += 1
                task = asyncio.create_task(self._handle(message))
                self._running.add(task)
                task.add_done_callback(self._running.discard)
                if started >= self._batch:
                    break
        except ResourceNotFoundError:
            await _create(self._queue)
        except AzureError as error:
            print(f"functions: the queue {self._function.queue} cannot be read: {type(error).__name__}", flush=True)
        return started

    async def _handle(self, message: QueueMessage) -> None:
        """Run the function for a message that it can take; every other message goes to the poison queue at once."""
        encoded, tries = str(message.content), message.dequeue_count or 0
        try:
            content = b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            print(f"functions: a message of {self._function.queue} is not base64", flush=True)
            await self._give_up(message)
            return
        if tries > self._max_attempts:  # the process was killed during each of the earlier tries
            await self._give_up(message)
        elif await self._run(message, content, tries):
            await self._queue.delete_message(message, **UNTRACED)
        elif tries >= self._max_attempts:
            await self._give_up(message)
        elif self._poison is not None:  # a message of a poison queue stays hidden for the rest of its ten minutes
            await self._queue.update_message(message, visibility_timeout=int(self._retry_delay), **UNTRACED)

    async def _run(self, message: QueueMessage, content: bytes, tries: int) -> bool:
        renewing = asyncio.create_task(self._renew(message))
        try:
            text = content.decode()
        except UnicodeDecodeError:  # the host cannot bind it to a text: a failed try
            return False
        else:
            return await self._invoker.run(self._function, text, {"Id": message.id, "DequeueCount": tries})
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)

    async def _renew(self, message: QueueMessage) -> None:
        while True:
            await asyncio.sleep(VISIBILITY_TIMEOUT / 2)
            renewed = await self._queue.update_message(message, visibility_timeout=VISIBILITY_TIMEOUT, **UNTRACED)
            message.pop_receipt = renewed.pop_receipt

    async def _give_up(self, message: QueueMessage) -> None:
        """Move the message as it came to the poison queue; a poison queue has none, so its messages stay there."""
        if self._poison is None:
            return
        await _create(self._poison)
        await self._poison.send_message(message.content, **UNTRACED)
        await self._queue.delete_message(message, **UNTRACED)


async def _create(queue: QueueClient) -> None:
    try:
        await queue.create_queue(**UNTRACED)
    except ResourceExistsError:
        return
