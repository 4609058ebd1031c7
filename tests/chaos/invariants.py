"""The invariants that must hold once the faults have ended."""

from __future__ import annotations

import json
from typing import Any

import nodesemver
from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from handlers.gateways.storage.state_store import CONTAINER
from local.foundry.state import image_of
from local.storage.account import connection_string
from tests.chaos.cluster import Cluster
from tests.chaos.load import Load
from tests.support.stored_journal import journal_lines

REPOSITORIES = {
    "plain": "agents/plain",
    "shadow": "agents/plain",
    "ordered": "agents/ordered",
    "secret": "agents/secret",
    "verified": "agents/verified",
    "checked": "agents/checked",
}
PROBED = ("verified", "checked")
"""Agents with a probe; the others run every version that becomes active."""
INCONCLUSIVE = ("VERIFY_INCONCLUSIVE", "CHECK_INCONCLUSIVE")
"""The service did not answer the probe within ``within``: a person pushes again."""
QUEUES = ("events", "releases", "commit-statuses", "events-poison", "releases-poison", "commit-statuses-poison")


class Invariants:
    """Checks the invariants through the stand-ins and the storage account."""

    def __init__(self, cluster: Cluster, load: Load) -> None:
        self._cluster = cluster
        self._load = load
        endpoints = cluster.stack.endpoints
        connection, options = connection_string(endpoints), {"connection_verify": endpoints["ca"], "retry_total": 0}
        self._blobs: Any = BlobServiceClient.from_connection_string(connection, **options)
        self._queues: Any = QueueServiceClient.from_connection_string(connection, **options)

    def close(self) -> None:
        """Close the connections."""
        self._blobs.close()
        self._queues.close()

    def violations(self) -> list[str]:
        """The invariants that do not hold now; blocks."""
        try:
            agents = [violation for agent in REPOSITORIES for violation in self._agent(agent)]
            return [*self._undelivered(), *self._queued(), *agents]
        except AzureError as error:
            return [f"storage does not answer: {type(error).__name__}"]

    def inconclusive(self) -> list[str]:
        """Repositories whose newest push ended with an inconclusive probe."""
        return [REPOSITORIES[agent] for agent in PROBED if self.release_state(agent).get("reason") in INCONCLUSIVE]

    def release_state(self, agent: str) -> dict[str, Any]:
        """The agent's release state in the state store."""
        try:
            state: dict[str, Any] = json.loads(self._read(f"release/{agent}.json"))
        except ResourceNotFoundError:
            return {}
        return state

    def journal(self) -> list[dict[str, Any]]:
        """The lines of the journal, of all days."""
        return journal_lines(self._blobs.get_container_client(CONTAINER))

    def lost_messages(self) -> list[str]:
        """Messages that were poisoned or dead-lettered."""
        poisoned = [line for line in self.journal() if line["reason"] == "POISONED"]
        dead_letters = sorted((self._cluster.folder / "dead-letters").glob("*.json"))
        return [
            *(f"a message of {line['queue']} was poisoned" for line in poisoned),
            *(f"dead letter {file}" for file in dead_letters),
        ]

    def _read(self, name: str) -> bytes:
        data: bytes = self._blobs.get_blob_client(CONTAINER, name).download_blob().readall()
        return data

    def _undelivered(self) -> list[str]:
        count = len(self._cluster.events.in_flight)
        return [f"{count} events are not delivered"] if count else []

    def _queued(self) -> list[str]:
        depths = {name: self._depth(name) for name in QUEUES}
        return [f"{depth} messages in {name}" for name, depth in depths.items() if depth]

    def _depth(self, queue: str) -> int:
        try:
            return int(self._queues.get_queue_client(queue).get_queue_properties().approximate_message_count)
        except ResourceNotFoundError:
            return 0

    def _agent(self, name: str) -> list[str]:
        """Every agent runs the newest push that its agent spec allows, if that image works."""
        newest, agent = self._newest(REPOSITORIES[name]), self._cluster.foundry.project.agents.get(name)
        live = agent.live_version() if agent else None
        if live is None:
            return [f"{name} has no live version"]
        digest = image_of(live.definition).rpartition("@")[2]
        if not self._good(name, newest):
            return [] if self._good(name, digest) else [f"{name} runs an image that is {self._load.images[digest]}"]
        if digest != newest:
            return [f"{name} runs {digest[:15]} instead of {newest[:15]}: {self._describe(name)}"]
        value = (live.definition.get("environment_variables") or {}).get("KEY", self._load.secret)
        return [] if value == self._load.secret else [f"{name} has an old secret: {self._describe(name)}"]

    def _describe(self, agent: str) -> str:
        state = self.release_state(agent)
        return " ".join(str(state.get(key) or "") for key in ("phase", "reason", "detail", "pending_write"))

    def _good(self, agent: str, digest: str) -> bool:
        image = self._load.images[digest]
        return image == "good" or (image == "wrong" and agent not in PROBED)

    def _newest(self, repository: str) -> str:
        """The digest of the newest push by its event, or of the highest version."""
        events = [event for event in self._cluster.events.published if event["data"].get("target")]
        pushes = [event for event in events if event["data"]["target"]["repository"] == repository]
        if repository == "agents/ordered":
            by_tag = {event["data"]["target"]["tag"]: event for event in pushes}
            highest = nodesemver.max_satisfying(list(by_tag), "*", loose=False)
            return str(by_tag[highest]["data"]["target"]["digest"])
        return str(max(pushes, key=lambda event: event["eventTime"])["data"]["target"]["digest"])
