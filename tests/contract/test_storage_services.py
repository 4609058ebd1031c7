"""What other clients than the product's need of a storage account: the .NET host, and people with an explorer."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from aiohttp import ClientSession
from azure.storage.queue import QueueServiceClient

from local.functions_host.queue_storage import azure_queues
from local.functions_host.storage_retry import LOST, StorageError
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


@pytest.mark.parametrize("kind", SERVERS)
async def test_a_receipt_that_another_client_replaced_is_a_lost_message(
    storage_servers: Callable[[str], str], kind: str
) -> None:
    """The host then drops the message quietly; any other error of a completion ends the process."""
    async with azure_queues({"AzureWebJobsStorage": storage_servers(kind)}) as open_queue:
        queue = open_queue(f"q{uuid.uuid4().hex[:8]}")
        await queue.create()
        await queue.add("text")
        (message,) = await queue.receive(1, 60)
        await queue.hide(message, 60)
        with pytest.raises(StorageError) as raised:
            await queue.delete(message)
        assert raised.value.code in LOST
        with pytest.raises(StorageError) as raised:
            await queue.hide(message, 60)
        assert raised.value.code in LOST
