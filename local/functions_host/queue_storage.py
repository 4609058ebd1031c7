"""One queue of the storage account, as a queue trigger uses it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError
from azure.identity.aio import DefaultAzureCredential
from azure.storage.queue import QueueMessage
from azure.storage.queue.aio import QueueClient, QueueServiceClient

from local.functions_host.storage_retry import NETWORK_TIMEOUT, StorageError

UNTRACED: dict[str, Any] = {"tracing_options": {"enabled": False}}
"""The real host is another process, so its polls are not in the app's telemetry."""
CLIENT_OPTIONS: dict[str, Any] = {
    "retry_total": 0,
    "connection_timeout": NETWORK_TIMEOUT,
    "read_timeout": NETWORK_TIMEOUT,
}


@dataclass
class Message:
    """A received message; ``text`` is not decoded."""

    id: str
    text: str
    receipt: str
    dequeue_count: int
    inserted_at: datetime
    expires_at: datetime
    visible_at: datetime


class Queue(Protocol):
    """A queue; every method raises StorageError."""

    name: str

    async def exists(self) -> bool:
        """Return whether the queue exists."""

    async def receive(self, limit: int, hidden_seconds: int) -> list[Message]:
        """Return visible messages, which are hidden from then on."""

    async def delete(self, message: Message) -> None:
        """Remove a received message."""

    async def hide(self, message: Message, hidden_seconds: int) -> str:
        """Hide a received message from now on for so many seconds; return its new receipt."""

    async def add(self, text: str) -> None:
        """Add a message with this text."""

    async def create(self) -> None:
        """Create the queue if it does not exist."""


class AzureQueue:
    """A queue through the storage SDK; see the Queue protocol."""

    def __init__(self, client: QueueClient) -> None:
        self.name = str(client.queue_name)
        self._client = client

    async def exists(self) -> bool:
        """Ask for the queue's properties."""
        try:
            async with _errors():
                await self._client.get_queue_properties(**UNTRACED)
        except StorageError as error:
            if error.status == 404:
                return False
            raise
        return True

    async def receive(self, limit: int, hidden_seconds: int) -> list[Message]:
        """Send one request, unlike the SDK's iterator, which asks until it gets nothing."""
        async with _errors():
            paged = self._client.receive_messages(
                messages_per_page=limit, max_messages=limit, visibility_timeout=hidden_seconds, **UNTRACED
            )
            async for page in paged.by_page():
                return [_message(message) async for message in page]
        return []

    async def delete(self, message: Message) -> None:
        """Delete with the latest receipt."""
        async with _errors():
            await self._client.delete_message(message.id, message.receipt, **UNTRACED)

    async def hide(self, message: Message, hidden_seconds: int) -> str:
        """Update the visibility only; the text stays."""
        async with _errors():
            updated = await self._client.update_message(
                message.id, message.receipt, visibility_timeout=hidden_seconds, **UNTRACED
            )
        return str(updated.pop_receipt)

    async def add(self, text: str) -> None:
        """Send the text as it is."""
        async with _errors():
            await self._client.send_message(text, **UNTRACED)

    async def create(self) -> None:
        """Create the queue; another host may have been first."""
        async with _errors():
            try:
                await self._client.create_queue(**UNTRACED)
            except ResourceExistsError:
                return


@asynccontextmanager
async def azure_queues(env: Mapping[str, str]) -> AsyncIterator[Callable[[str], Queue]]:
    """Open queues by name in the host's storage, with a connection string or the app's identity."""
    async with AsyncExitStack() as clean:
        if string := env.get("AzureWebJobsStorage"):
            service = QueueServiceClient.from_connection_string(string, **CLIENT_OPTIONS)
        else:
            credential = await clean.enter_async_context(DefaultAzureCredential())
            address = env["AzureWebJobsStorage__queueServiceUri"]
            service = QueueServiceClient(address, credential=credential, **CLIENT_OPTIONS)
        await clean.enter_async_context(service)
        yield lambda name: AzureQueue(service.get_queue_client(name))


@asynccontextmanager
async def _errors() -> AsyncIterator[None]:
    try:
        yield
    except HttpResponseError as error:
        code = getattr(error, "error_code", None) or type(error).__name__
        code = str(getattr(code, "value", code))  # the SDK's codes are members of an enumeration
        status = error.status_code or 0
        raise StorageError(status if status >= 300 else 0, code) from error  # 2xx: half an answer came
    except AzureError as error:
        raise StorageError(0, type(error).__name__, str(error.inner_exception or error)) from error


def _message(message: QueueMessage) -> Message:
    inserted, expires, visible = message.inserted_on, message.expires_on, message.next_visible_on
    if inserted is None or expires is None or visible is None:  # an answer without them is cut or not from storage
        raise StorageError(0, "InvalidXmlDocument")
    return Message(
        id=str(message.id),
        text=message.content or "",
        receipt=str(message.pop_receipt),
        dequeue_count=message.dequeue_count or 0,
        inserted_at=inserted,
        expires_at=expires,
        visible_at=visible,
    )
