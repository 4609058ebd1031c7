"""The function app's storage account: its clients, and the meaning of its errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import ParseError

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, HttpResponseError
from azure.storage.blob.aio import BlobServiceClient, ContainerClient

from handlers.gateways.azure_http import NO_REDIRECT, UNREADABLE_ANSWER, connection_options, gateway_error
from handlers.gateways.errors import STORAGE

if TYPE_CHECKING:
    from azure.storage.queue.aio import QueueClient, QueueServiceClient

CLIENT_OPTIONS: dict[str, Any] = {
    "connection_timeout": 5, "read_timeout": 10, "retry_total": 3, "retry_connect": 2, "initial_backoff": 1,
    **NO_REDIRECT,
}  # fmt: skip
"""Seconds, and retries of requests that are safe to repeat; the storage SDK's own defaults wait for minutes."""


class StorageAccount:
    """Blob and queue clients that share one way of signing in.

    The SDK of queues is imported at their first use: commands that only read do not need it.
    """

    def __init__(self, blobs: BlobServiceClient, connect_queues: Callable[[], QueueServiceClient]) -> None:
        self._blobs = blobs
        self._connect_queues = connect_queues
        self._queue_service: QueueServiceClient | None = None
        self._queues: dict[str, QueueClient] = {}

    @classmethod
    def from_connection_string(cls, text: str) -> StorageAccount:
        """With a key: a laptop, or an account that still has keys."""
        options = {**CLIENT_OPTIONS, **connection_options()}

        def queues() -> QueueServiceClient:
            from azure.storage.queue.aio import QueueServiceClient

            return QueueServiceClient.from_connection_string(text, **options)

        return cls(BlobServiceClient.from_connection_string(text, **options), queues)

    @classmethod
    def from_uris(cls, blob_uri: str, queue_uri: str, credential: AsyncTokenCredential, **more: Any) -> StorageAccount:
        """With an identity, as infra deploys it; ``more`` are options of the clients."""
        options = {**CLIENT_OPTIONS, **connection_options(), **more}

        def queues() -> QueueServiceClient:
            from azure.storage.queue.aio import QueueServiceClient

            return QueueServiceClient(queue_uri, credential=credential, **options)

        return cls(BlobServiceClient(blob_uri, credential=credential, **options), queues)

    def container(self, name: str) -> ContainerClient:
        """A client for one container."""
        return self._blobs.get_container_client(name)

    def queue(self, name: str) -> QueueClient:
        """A client for one queue, in the encoding that the Functions host expects by default."""
        from azure.storage.queue import TextBase64EncodePolicy

        if self._queue_service is None:
            self._queue_service = self._connect_queues()
        if name not in self._queues:
            encoding = TextBase64EncodePolicy()
            self._queues[name] = self._queue_service.get_queue_client(name, message_encode_policy=encoding)
        return self._queues[name]

    async def close(self) -> None:
        """Close every connection."""
        await self._blobs.close()
        if self._queue_service is not None:
            await self._queue_service.close()


@contextmanager
def translate_errors(what: str) -> Iterator[None]:
    """Turn errors of the storage SDK into our two errors; ``what`` names the attempt."""
    try:
        yield
    except (AzureError, ParseError, *UNREADABLE_ANSWER) as error:  # ParseError: storage speaks XML
        raise gateway_error(STORAGE, what, error, error_code(error), unclear=True) from error


def error_code(error: Exception) -> str:
    """The service's own code, such as ``LeaseAlreadyPresent``; empty where there is none."""
    code = getattr(error, "error_code", None)
    return str(getattr(code, "value", code) or "")


def is_from_storage(error: HttpResponseError) -> bool:
    """True where storage itself answered.

    A 404 or 409 without a code comes from a proxy on the way, and says nothing about our blob.
    """
    return bool(error_code(error))
