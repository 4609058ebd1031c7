"""Queue triggers: messages in batches, hidden while they run; after five attempts they go to the poison queue."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.identity.aio import DefaultAzureCredential
from azure.storage.queue import QueueMessage, TextBase64DecodePolicy, TextBase64EncodePolicy
from azure.storage.queue.aio import QueueClient, QueueServiceClient

from local.functions_host.indexing import Function
from local.functions_host.invoker import Invoker

UNTRACED: dict[str, Any] = {"tracing_options": {"enabled": False}}
"""The real host is another process, so its polls are not in the app's telemetry."""
VISIBILITY_TIMEOUT = 600
"""Seconds that a message stays hidden while it runs, renewed at half of them, as in the real host."""
MIN_POLL_INTERVAL = 0.1
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
        self._queue = self._client(service, function.queue)
        self._poison = self._client(service, f"{function.queue}-poison")
        self._batch = int(settings.get("batchSize", 16))
        self._new_batch_threshold = int(settings.get("newBatchThreshold", self._batch // 2))
        self._max_attempts = int(settings.get("maxDequeueCount", 5))
        self._retry_delay = seconds(settings.get("visibilityTimeout", "00:00:00"))
        self._max_poll_interval = seconds(settings.get("maxPollingInterval", "00:01:00"))
        self._running: set[asyncio.Task[None]] = set()

    def _client(self, service: QueueServiceClient, name: str) -> QueueClient:
        return service.get_queue_client(
            name, message_encode_policy=TextBase64EncodePolicy(), message_decode_policy=TextBase64DecodePolicy()
        )

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
        renewing = asyncio.create_task(self._renew(message))
        try:
            metadata = {"Id": message.id, "DequeueCount": message.dequeue_count}
            succeeded = await self._invoker.run(self._function, str(message.content), metadata)
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
        if succeeded:
            await self._queue.delete_message(message, **UNTRACED)
        elif (message.dequeue_count or 0) >= self._max_attempts:
            await self._move_to_poison(message)
        else:
            await self._queue.update_message(message, visibility_timeout=int(self._retry_delay), **UNTRACED)

    async def _renew(self, message: QueueMessage) -> None:
        while True:
            await asyncio.sleep(VISIBILITY_TIMEOUT / 2)
            renewed = await self._queue.update_message(message, visibility_timeout=VISIBILITY_TIMEOUT, **UNTRACED)
            message.pop_receipt = renewed.pop_receipt

    async def _move_to_poison(self, message: QueueMessage) -> None:
        await _create(self._poison)
        await self._poison.send_message(str(message.content), **UNTRACED)
        await self._queue.delete_message(message, **UNTRACED)


async def _create(queue: QueueClient) -> None:
    try:
        await queue.create_queue(**UNTRACED)
    except ResourceExistsError:
        return
