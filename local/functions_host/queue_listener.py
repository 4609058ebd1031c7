"""Queue triggers: batches, hidden while they run, five tries, then the poison queue."""

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
"""The real host is another process, and its polls are in nobody's telemetry."""
HIDDEN = 600
"""Seconds that a message stays hidden while it runs, renewed at half: the host's own figure."""
FIRST_POLL = 0.1
RETRIES: dict[str, Any] = {"initial_backoff": 1, "increment_base": 2}
"""Seconds: the real host is a .NET process, whose storage SDK begins at 0.8 s where Python's begins at 15."""


def queue_service(env: Mapping[str, str]) -> tuple[QueueServiceClient, DefaultAzureCredential | None]:
    """The host's own storage, from a connection string or with its identity."""
    if env.get("AzureWebJobsStorage"):
        return QueueServiceClient.from_connection_string(env["AzureWebJobsStorage"], **RETRIES), None
    credential = DefaultAzureCredential()
    return QueueServiceClient(env["AzureWebJobsStorage__queueServiceUri"], credential=credential, **RETRIES), credential


def seconds(text: str) -> float:
    """``hh:mm:ss`` of host.json."""
    hours, minutes, rest = text.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


class QueueListener:
    """One queue's trigger."""

    def __init__(
        self, function: Function, service: QueueServiceClient, settings: Mapping[str, Any], invoker: Invoker
    ) -> None:
        self._function = function
        self._invoker = invoker
        self._queue = self._client(service, function.queue)
        self._poison = self._client(service, f"{function.queue}-poison")
        self._batch = int(settings.get("batchSize", 16))
        self._threshold = int(settings.get("newBatchThreshold", self._batch // 2))
        self._tries = int(settings.get("maxDequeueCount", 5))
        self._pause = seconds(settings.get("visibilityTimeout", "00:00:00"))
        self._longest_poll = seconds(settings.get("maxPollingInterval", "00:01:00"))
        self._running: set[asyncio.Task[None]] = set()

    def _client(self, service: QueueServiceClient, name: str) -> QueueClient:
        return service.get_queue_client(
            name, message_encode_policy=TextBase64EncodePolicy(), message_decode_policy=TextBase64DecodePolicy()
        )

    async def run(self) -> None:
        """Poll until cancelled, less often while the queue is empty."""
        idle = FIRST_POLL
        try:
            while True:
                taken = await self._take() if len(self._running) <= self._threshold else 0
                idle = FIRST_POLL if taken else min(self._longest_poll, idle * 1.5)
                await asyncio.sleep(idle)
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    async def _take(self) -> int:
        taken = 0
        try:
            async for message in self._queue.receive_messages(
                max_messages=self._batch, visibility_timeout=HIDDEN, **UNTRACED
            ):
                taken += 1
                task = asyncio.create_task(self._handle(message))
                self._running.add(task)
                task.add_done_callback(self._running.discard)
                if taken >= self._batch:
                    break
        except ResourceNotFoundError:
            await _create(self._queue)
        except AzureError as error:
            print(f"functions: the queue {self._function.queue} cannot be read: {type(error).__name__}", flush=True)
        return taken

    async def _handle(self, message: QueueMessage) -> None:
        renewing = asyncio.create_task(self._renew(message))
        try:
            metadata = {"Id": message.id, "DequeueCount": message.dequeue_count}
            ended_well = await self._invoker.run(self._function, str(message.content), metadata)
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
        if ended_well:
            await self._queue.delete_message(message, **UNTRACED)
        elif (message.dequeue_count or 0) >= self._tries:
            await self._bury(message)
        else:
            await self._queue.update_message(message, visibility_timeout=int(self._pause), **UNTRACED)

    async def _renew(self, message: QueueMessage) -> None:
        while True:
            await asyncio.sleep(HIDDEN / 2)
            told = await self._queue.update_message(message, visibility_timeout=HIDDEN, **UNTRACED)
            message.pop_receipt = told.pop_receipt

    async def _bury(self, message: QueueMessage) -> None:
        await _create(self._poison)
        await self._poison.send_message(str(message.content), **UNTRACED)
        await self._queue.delete_message(message, **UNTRACED)


async def _create(queue: QueueClient) -> None:
    try:
        await queue.create_queue(**UNTRACED)
    except ResourceExistsError:
        return
