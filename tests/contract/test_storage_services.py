"""What other clients than the product's need of a storage account: the .NET host, and people with an explorer."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from aiohttp import ClientSession
from azure.storage.queue import QueueServiceClient

from tests.support.storage_servers import SERVERS


async def test_an_error_to_a_head_request_has_no_content_type(storage_servers: Callable[[str], str]) -> None:
    """Azure sends none; with one, the .NET SDK reads an empty body as XML, and no timer of the host starts."""
    blob = dict(part.partition("=")[::2] for part in storage_servers("stand-in").split(";"))["BlobEndpoint"]
    async with ClientSession(headers={"Authorization": "SharedKey a:b"}) as session:
        for path in ("/nowhere", "/nowhere/a-blob"):
            async with session.head(blob + path) as answer:
                assert (answer.status, answer.headers["x-ms-error-code"]) == (404, "ContainerNotFound")
                assert "Content-Type" not in answer.headers
            async with session.get(blob + path) as answer:
                assert (answer.status, answer.content_type) == (404, "application/xml")


@pytest.mark.parametrize("kind", SERVERS)
def test_the_queues_of_an_account_are_listed_in_pages(storage_servers: Callable[[str], str], kind: str) -> None:
    prefix = f"q{uuid.uuid4().hex[:8]}"
    names = [f"{prefix}-{letter}" for letter in "abcde"]
    with QueueServiceClient.from_connection_string(storage_servers(kind)) as account:
        for name in names:
            account.create_queue(name)
        assert [queue.name for queue in account.list_queues(prefix, results_per_page=2)] == names
        assert prefix + "-a" in {queue.name for queue in account.list_queues()}
        assert list(account.list_queues("nobody")) == []
