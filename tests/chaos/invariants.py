"""What must be true once it is quiet again."""

from __future__ import annotations

import json
from typing import Any

import nodesemver
from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from local.foundry.state import image_of
from local.storage.account import connection_string
from tests.chaos.cluster import World
from tests.chaos.load import Load

FOLLOWS = {
    "plain": "agents/plain",
    "shadow": "agents/plain",
    "ordered": "agents/ordered",
    "secret": "agents/secret",
    "proven": "agents/proven",
    "checked": "agents/checked",
}
ASKED = ("proven", "checked")
"""Agents that are asked something; the others run whatever becomes active."""
UNLUCKY = ("VERIFY_INCONCLUSIVE", "CHECK_INCONCLUSIVE")
"""Ends by which nothing is known, because the service did not answer in all of ``within``: a person pushes again."""
QUEUES = ("events", "releases", "events-poison", "releases-poison")
CONTAINER = "slipway"


class Verdict:
    """Asks the stand-ins and the account, as a person would."""

    def __init__(self, world: World, load: Load) -> None:
        self._world = world
        self._load = load
        at = world.stack.endpoints
        text, trusted = connection_string(at), {"connection_verify": at["ca"], "retry_total": 0}
        self._blobs: Any = BlobServiceClient.from_connection_string(text, **trusted)
        self._queues: Any = QueueServiceClient.from_connection_string(text, **trusted)

    def close(self) -> None:
        """Close the connections."""
        self._blobs.close()
        self._queues.close()

    def open(self) -> list[str]:
        """What is not as it should be, yet or for good; blocks while it asks."""
        try:
            return [*self._undelivered(), *self._waiting(), *(one for agent in FOLLOWS for one in self._agent(agent))]
        except AzureError as error:
            return [f"storage does not answer: {type(error).__name__}"]

    def unlucky(self) -> list[str]:
        """Repositories whose newest push ended without anybody knowing how good it is."""
        return [FOLLOWS[agent] for agent in ASKED if self.record(agent).get("reason") in UNLUCKY]

    def record(self, agent: str) -> dict[str, Any]:
        """How far the ledger says that the agent's release is."""
        try:
            told: dict[str, Any] = json.loads(self._read(f"release/{agent}.json"))
        except ResourceNotFoundError:
            return {}
        return told

    def lines(self) -> list[dict[str, Any]]:
        """The journal, every day of it."""
        container = self._blobs.get_container_client(CONTAINER)
        names = [one.name for one in container.list_blobs(name_starts_with="journal/")]
        return [json.loads(line) for name in names for line in self._read(name).splitlines()]

    def lost(self) -> list[str]:
        """Messages that were given up."""
        poisoned = [one for one in self.lines() if one["reason"] == "POISONED"]
        dead = sorted((self._world.folder / "dead-letters").glob("*.json"))
        return [f"a message of {one['queue']} was given up" for one in poisoned] + [
            f"dead letter {one}" for one in dead
        ]

    def _read(self, name: str) -> bytes:
        data: bytes = self._blobs.get_blob_client(CONTAINER, name).download_blob().readall()
        return data

    def _undelivered(self) -> list[str]:
        count = len(self._world.events.in_flight)
        return [f"{count} events are not delivered"] if count else []

    def _waiting(self) -> list[str]:
        depths = {name: self._depth(name) for name in QUEUES}
        return [f"{depth} messages in {name}" for name, depth in depths.items() if depth]

    def _depth(self, queue: str) -> int:
        try:
            return int(self._queues.get_queue_client(queue).get_queue_properties().approximate_message_count)
        except ResourceNotFoundError:
            return 0

    def _agent(self, name: str) -> list[str]:
        """Every agent runs the newest push that its rule allows, where that one can run at all."""
        newest, agent = self._newest(FOLLOWS[name]), self._world.foundry.project.agents.get(name)
        serving = agent.live_version() if agent else None
        if serving is None:
            return [f"{name} serves nothing"]
        runs = image_of(serving.definition).rpartition("@")[2]
        if not self._good(name, newest):
            return [] if self._good(name, runs) else [f"{name} serves an image that is {self._load.images[runs]}"]
        if runs != newest:
            return [f"{name} serves {runs[:15]} and not {newest[:15]}: {self._told(name)}"]
        value = (serving.definition.get("environment_variables") or {}).get("KEY", self._load.secret)
        return [] if value == self._load.secret else [f"{name} has a secret that was rotated: {self._told(name)}"]

    def _told(self, agent: str) -> str:
        release = self.record(agent)
        return (
            f"{release.get('stage')} {release.get('reason')} {release.get('detail', '')} {release.get('doing') or ''}"
        )

    def _good(self, agent: str, digest: str) -> bool:
        image = self._load.images[digest]
        return image == "good" or (image == "wrong" and agent not in ASKED)

    def _newest(self, repository: str) -> str:
        """By the events themselves: the latest, or the highest version."""
        events = [one for one in self._world.events.published if one["data"].get("target")]
        mine = [one for one in events if one["data"]["target"]["repository"] == repository]
        if repository == "agents/ordered":
            by_tag = {one["data"]["target"]["tag"]: one for one in mine}
            highest = nodesemver.max_satisfying(list(by_tag), "*", loose=False)
            return str(by_tag[highest]["data"]["target"]["digest"])
        return str(max(mine, key=lambda one: one["eventTime"])["data"]["target"]["digest"])
