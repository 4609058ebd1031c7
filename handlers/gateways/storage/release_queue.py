"""The queues ``releases`` and ``commit-statuses`` on Azure Storage."""

from __future__ import annotations

import math
from contextlib import suppress
from datetime import datetime

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError

from core.commit_status import CommitStatusMessage
from core.release.message import ReleaseMessage
from core.timing import MAX_MESSAGE_DELAY
from handlers.gateways.azure_http import NO_TRACE
from handlers.gateways.storage.account import StorageAccount, translate_errors


class StorageReleaseQueue:
    """See the ReleaseQueue protocol."""

    def __init__(self, account: StorageAccount, name: str = "releases") -> None:
        self.name = name
        self._account = account

    async def count_messages(self, queue: str) -> int:
        with translate_errors(f"count the messages of {queue}"):
            try:
                properties = await self._account.queue(queue).get_queue_properties(**NO_TRACE)
            except ResourceNotFoundError:
                return 0
        return int(properties.approximate_message_count or 0)

    async def oldest_message(self, queue: str) -> datetime | None:
        with translate_errors(f"peek at {queue}"):
            try:
                messages = await self._account.queue(queue).peek_messages(max_messages=1, **NO_TRACE)
            except ResourceNotFoundError:
                return None
        return next((message.inserted_on for message in messages), None)

    async def enqueue(self, agent: str, *, delay: float = 0, traceparent: str | None = None) -> None:
        """Put one message; its delay is rounded up to a second."""
        await send_text(self._account, self.name, ReleaseMessage(agent, traceparent).to_json(), delay)


class StorageCommitStatusQueue:
    """See the CommitStatusQueue protocol."""

    def __init__(self, account: StorageAccount) -> None:
        self._account = account

    async def enqueue(self, message: CommitStatusMessage, *, delay: float = 0) -> None:
        """Put one message; its delay is rounded up to a second."""
        await send_text(self._account, "commit-statuses", message.to_json(), delay)


async def send_text(account: StorageAccount, name: str, text: str, delay: float = 0) -> None:
    """Put one message into a queue, hidden for a delay in seconds, and create a missing queue.

    Raises TransientError or PermanentError.
    """
    queue, hidden = account.queue(name), math.ceil(min(delay, MAX_MESSAGE_DELAY.total_seconds()))
    with translate_errors(f"send to the queue {name}"):
        try:
            await queue.send_message(text, visibility_timeout=hidden)
        except ResourceNotFoundError:
            with suppress(ResourceExistsError):
                await queue.create_queue()
            await queue.send_message(text, visibility_timeout=hidden)
