"""The function app's storage account: its clients, and what its errors mean to us."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import ParseError

from azure.core.exceptions import AzureError, HttpResponseError
from azure.storage.blob.aio import BlobServiceClient, ContainerClient
from azure.storage.queue import TextBase64EncodePolicy
from azure.storage.queue.aio import QueueClient, QueueServiceClient

from handlers.gateways.azure_http import UNREADABLE_ANSWER, connection_options, is_retryable
from handlers.gateways.errors import STORAGE, PermanentError, TransientError

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

CLIENT_OPTIONS: dict[str, Any] = {
    "connection_timeout": 5,
    "read_timeout": 10,
    "retry_total": 3,
    "retry_connect": 2,
    "initial_backoff": 1,
}
"""Seconds, and tries of what is safe to repeat; the storage SDK's own defaults wait for minutes."""


class StorageAccount:
    """Blob and queue clients that share one way of signing in."""

    def __init__(self, blobs: BlobServiceClient, queues: QueueServiceClient) -> None:
        self._blobs = blobs
        self._queues = queues

    @classmethod
    def from_connection_string(cls, text: str) -> StorageAccount:
        """With a key: a laptop, or an account that still has keys."""
        return cls(
            BlobServiceClient.from_connection_string(text, **CLIENT_OPTIONS, **connection_options()),
            QueueServiceClient.from_connection_string(text, **CLIENT_OPTIONS, **connection_options()),
        )

    @classmethod
    def from_uris(cls, blob_uri: str, queue_uri: str, credential: AsyncTokenCredential) -> StorageAccount:
        """With an identity, as infra deploys it."""
        return cls(
            BlobServiceClient(blob_uri, credential=credential, **CLIENT_OPTIONS, **connection_options()),
            QueueServiceClient(queue_uri, credential=credential, **CLIENT_OPTIONS, **connection_options()),
        )

    def container(self, name: str) -> ContainerClient:
        """A client for one container."""
        return self._blobs.get_container_client(name)

    def queue(self, name: str) -> QueueClient:
        """A client for one queue, in the encoding that the Functions host expects by default."""
        return self._queues.get_queue_client(name, message_encode_policy=TextBase64EncodePolicy())

    async def close(self) -> None:
        """Close every connection."""
        await self._blobs.close()
        await self._queues.close()


@contextmanager
def translate_errors(what: str) -> Iterator[None]:
    """Turn what the storage SDK raises into our two errors; ``what`` says what was tried."""
    try:
        yield
    except HttpResponseError as error:
        code = error_code(error)
        if is_retryable(error.status_code):
            raise TransientError(STORAGE, code, what, unclear=True) from error
        raise PermanentError(STORAGE, code, what, status=error.status_code) from error
    except (AzureError, ParseError, *UNREADABLE_ANSWER) as error:  # ParseError: storage speaks XML
        raise TransientError(STORAGE, "no answer", what, unclear=True) from error


def error_code(error: HttpResponseError) -> str:
    """The service's own code, such as ``LeaseAlreadyPresent``, or the HTTP status where that says more than a 2xx."""
    code = getattr(error, "error_code", None)
    if code:
        return str(getattr(code, "value", code))
    return str(error.status_code) if error.status_code and error.status_code >= 300 else "no answer"


def is_from_storage(error: HttpResponseError) -> bool:
    """True where storage itself says what is wrong.

    A 404 or 409 without a code is from whatever stands between us: it does not say that a record is not there, or that
    somebody else was as early.
    """
    return bool(getattr(error, "error_code", None))
