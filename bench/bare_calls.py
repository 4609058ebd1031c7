"""The calls of a release made with the SDKs alone: no decision, no state, no telemetry, the clients' own defaults."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from azure.ai.projects.aio import AIProjectClient
from azure.core.async_paging import AsyncItemPaged
from azure.core.messaging import CloudEvent
from azure.eventgrid.aio import EventGridPublisherClient
from azure.identity.aio import DefaultAzureCredential
from azure.keyvault.secrets.aio import SecretClient
from azure.storage.blob.aio import BlobClient, BlobLeaseClient, BlobServiceClient
from azure.storage.queue import TextBase64EncodePolicy
from azure.storage.queue.aio import QueueServiceClient

from bench.testbed import NotMeasuredError, hosted_agent

KINDS: Mapping[str, str] = {
    "GET foundry /agents/[^/?]+": "get_agent",
    "GET foundry /agents/[^/?]+/versions": "list_versions",
    "GET foundry /agents/[^/?]+/versions/[0-9]+": "get_version",
    "POST foundry /agents/[^/?]+/versions": "create_version",
    "PATCH foundry /agents/[^/?]+": "move_traffic",
    "GET vault /secrets/[^/?]+/": "get_secret",
    "GET blob /slipway/.+": "download",
    "PUT blob /slipway/[^?]+": "upload",
    "PUT blob /slipway/.+[?]comp=lease": "lease",
    "PUT blob /slipway/.+[?]comp=appendblock": "append",
    "POST queue /[^/?]+/messages": "send_message",
    "POST eventgrid /api/events": "publish",
}
"""Method, stand-in and path of a request -> the call of an SDK that sends it."""
SECRET = "a value"
MESSAGE = json.dumps({"target": "agent-00", "traceparent": f"00-{'a' * 32}-{'b' * 16}-01"})


def calls_of(requests: Mapping[str, Iterable[Mapping[str, Any]]]) -> Counter[str]:
    """How often each call was made, by the requests that the stand-ins logged; raises NotMeasuredError."""
    return Counter(_kind(part, request) for part, logged in requests.items() for request in logged)


def _kind(part: str, request: Mapping[str, Any]) -> str:
    action: str | None = request["headers"].get("x-ms-lease-action")
    if action == "release":
        return "release_lease"
    path, _, query = request["path"].partition("?")
    line = f"{request['method']} {part} {path}{f'?{query}' if query.startswith('comp=') else ''}"
    for pattern, call in KINDS.items():
        method, service, end = pattern.split(" ")
        if re.fullmatch(f"{method} {service} .*?{end}", line):
            return call
    raise NotMeasuredError(f"no call of an SDK is known for {line}")


class BareCalls:
    """One client of each SDK, shared by all calls; what they send is as large as what a release of the product sent."""

    def __init__(self, metadata: Mapping[str, str], outcome: Mapping[str, object]) -> None:
        credential, env = DefaultAzureCredential(require_envvar=True), os.environ
        blobs, queues = env["AzureWebJobsStorage__blobServiceUri"], env["AzureWebJobsStorage__queueServiceUri"]
        self._project = AIProjectClient(env["FOUNDRY_PROJECT_ENDPOINT"], credential)
        self._vault = SecretClient(env["KEY_VAULT_URL"], credential)
        self._container = BlobServiceClient(blobs, credential).get_container_client("slipway")
        encode = TextBase64EncodePolicy()
        self._queue = QueueServiceClient(queues, credential).get_queue_client("bare", message_encode_policy=encode)
        self._topic = EventGridPublisherClient(env["OUTCOME_TOPIC_ENDPOINT"], credential)
        self._journal = self._container.get_blob_client("bare/journal")
        self._metadata, self._outcome, self._state, self._lines = dict(metadata), dict(outcome), b"", b""

    async def prepare(self, agent: str, agents: Iterable[str], appends: int) -> None:
        """Create the queue, the journal and the states; ``agent`` released, which appended ``appends`` times."""
        self._state = await _downloaded(self._container.get_blob_client(f"release/{agent}.json"))
        names = [blob.name async for blob in self._container.list_blobs(name_starts_with="journal/")]
        lines = [await _downloaded(self._container.get_blob_client(name)) for name in names]
        own = [line for line in b"".join(lines).splitlines(keepends=True) if agent.encode() in line]
        self._lines = b"".join(own)[: sum(map(len, own)) // appends]
        await self._queue.create_queue()
        await self._journal.create_append_blob()
        for name in agents:
            await self._container.get_blob_client(f"bare/{name}").upload_blob(self._state, overwrite=True)

    async def release(self, agent: str, image: str, calls: Mapping[str, int]) -> None:
        """Make so many calls of each kind about one agent, one after the other."""
        blob, agents, version = self._container.get_blob_client(f"bare/{agent}"), self._project.agents, ""
        lease = BlobLeaseClient(blob)

        async def create() -> None:
            nonlocal version
            definition = hosted_agent(image, SECRET_0=SECRET)
            version = (await agents.create_version(agent, definition=definition, metadata=self._metadata)).version

        made: Mapping[str, Callable[[], Awaitable[object]]] = {
            "create_version": create,
            "get_agent": lambda: agents.get(agent),
            "list_versions": lambda: _first_page(agents.list_versions(agent, limit=100, order="asc")),
            "get_version": lambda: agents.get_version(agent, version),
            "move_traffic": lambda: agents.update_details(agent, _routing(version)),
            "get_secret": lambda: self._vault.get_secret("secret-0"),
            "download": lambda: _downloaded(blob),
            "upload": lambda: blob.upload_blob(self._state, overwrite=True),
            "append": lambda: self._journal.append_block(self._lines),
            "send_message": lambda: self._queue.send_message(MESSAGE),
            "publish": lambda: self._topic.send(CloudEvent(source="bare", type="Bare", data=self._outcome)),
            "lease": lambda: lease.acquire(lease_duration=60),
            "release_lease": lease.release,
        }
        for kind, call in made.items():
            for _ in range(calls.get(kind, 0)):
                await call()


async def _downloaded(blob: BlobClient) -> bytes:
    return bytes(await (await blob.download_blob()).readall())


async def _first_page(items: AsyncItemPaged[Any]) -> list[Any]:
    return [item async for item in await anext(items.by_page())]


def _routing(version: str) -> dict[str, Any]:
    rule = {"type": "FixedRatio", "agent_version": version, "traffic_percentage": 100}
    return {"agent_endpoint": {"version_selector": {"version_selection_rules": [rule]}}}
