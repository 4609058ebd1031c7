"""The real handlers and gateways against services that fail, called as the Functions host calls them."""

from __future__ import annotations

import base64
import json
import traceback
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path

from core.agents_file.loader import load_agents
from core.state.desired import DesiredState
from handlers.events.event_queued import handle_event
from handlers.gateways.errors import GatewayError
from handlers.gateways.interfaces import Gateways
from handlers.poison import handle_poison_message
from handlers.redaction import HiddenError, RedactedErrors
from handlers.release_agent.reconcile import handle_message
from handlers.resume_releases.run import resume_releases
from handlers.settings import Settings
from local.storage.store import Message
from local.tls import Authority
from local.vault import SecretVersion
from tests.contract.faulty_services import CONTAINER, QUEUE, FaultyServices, Snapshot
from tests.simulation.scene import ENVIRONMENT
from tests.support.builders import push_data, push_event
from tests.support.captured_telemetry import CapturedTelemetry

AGENT, CANARY = "hello-agent", "canary-7d3e"
AGENTS_FILE = b"""
agents:
  hello-agent:
    repository: agents/hello
    env: {KEY: {secret: hello-key}}
    env_from_vault: true
    tools: [{type: code_interpreter}]
    inspect: required
    release: {readable_within: 0s}
"""
MAX_ATTEMPTS, RETRY_SECONDS = 5, 60.0
"""How often the host delivers a message, and the seconds between (host.json)."""


class App:
    """The app on a Functions host with a virtual clock."""

    def __init__(self, services: FaultyServices, gateways: Gateways) -> None:
        self.services, self.gateways, self.clock = services, gateways, services.clock
        self.agents, self.settings = load_agents(AGENTS_FILE), Settings.from_env(ENVIRONMENT)
        self.telemetry, self.errors, self.poison = CapturedTelemetry(), list[Exception](), list[tuple[str, str]]()

    def clear(self) -> None:
        """Discard the captured telemetry, errors and poisoned messages."""
        self.telemetry.clear()
        self.errors.clear()
        self.poison.clear()

    # Events

    async def push(self, tag: str, letter: str) -> None:
        """Push an image, and deliver Event Grid's message."""
        self.clock.passed += 60
        data = push_data(tag=tag, digest=self.services.images[letter].digest)
        data["timestamp"] = self.clock.now().isoformat()
        event = push_event(id=f"event-{tag}", eventTime=self.clock.now().isoformat(), data=data)
        await self.deliver("events", json.dumps(event))

    async def deliver(self, queue: str, text: str) -> None:
        """Deliver a message until it is handled; after five failures it is poisoned, as on the host."""
        handle = handle_event if queue == "events" else handle_message
        for _ in range(MAX_ATTEMPTS):
            if await self._succeeds(handle(text, self.agents, self.settings, self.gateways)):
                return
            await self.clock.sleep(RETRY_SECONDS)
        self.poison.append((queue, text))
        await self._succeeds(handle_poison_message(queue, text, self.gateways))  # if not, it stays in its queue

    async def _succeeds(self, function: Awaitable[None]) -> bool:
        """Whether the function returns; an error is recorded, as the host logs it."""
        try:
            with RedactedErrors():
                await function
        except (GatewayError, HiddenError) as error:
            self.errors.append(error)
            return False
        return True

    async def requeue_poisoned(self) -> None:
        """Move every poisoned message back to its queue, as a person would."""
        poison = list(self.poison)
        self.poison.clear()
        for queue, text in poison:
            await self.deliver(queue, text)

    async def run_queue(self, *, wait: bool) -> None:
        """Deliver the messages of the queue; with ``wait``, also those that are not due yet."""
        for _ in range(50):
            message = next(iter(self.messages()), None)
            if message is None or (message.visible > self.clock.now().timestamp() and not wait):
                return
            await self.clock.sleep(max(0.0, message.visible - self.clock.now().timestamp()))
            self.services.storage.store.delete_message(message.id)
            await self.deliver(QUEUE, base64.b64decode(message.text).decode())
        raise AssertionError("the queue does not become empty")

    async def resume(self) -> None:
        """Run the timer that resumes unfinished releases."""
        self.clock.passed += RETRY_SECONDS
        await resume_releases(self.agents, self.gateways)
        await self.run_queue(wait=True)

    # State

    def messages(self) -> list[Message]:
        """The messages of the queue ``releases``, in the order of delivery."""
        return self.services.storage.store.messages(QUEUE)

    def live_image(self) -> str:
        """The letter of the live image."""
        live = self.services.foundry.project.agents[AGENT].live_version()
        reference = str(live.definition["container_configuration"]["image"]) if live else ""
        return "".join(letter for letter, image in self.services.images.items() if reference.endswith(image.digest))

    def version_count(self, letter: str) -> int:
        """The number of versions of an image."""
        versions = self.services.foundry.project.agents[AGENT].versions.values()
        digest = self.services.images[letter].digest
        return sum(version.definition["container_configuration"]["image"].endswith(digest) for version in versions)

    async def desired(self) -> DesiredState:
        return await self.gateways.state_store.get_desired(AGENT)

    def all_output(self) -> str:
        """Logs, exceptions as the host prints them, the state store, the journal and the queue."""
        errors = ["".join(traceback.format_exception(error)) for error in self.errors]
        blobs = [blob.data.decode() for _, blob in self.services.storage.store.list_blobs(CONTAINER, "")]
        return "\n".join([self.telemetry.text(), *errors, *blobs, *(message.text for message in self.messages())])


@asynccontextmanager
async def started_app(folder: Path) -> AsyncIterator[App]:
    """Start an app with v1 of image ``a`` live."""
    services = FaultyServices(folder, Authority(folder))
    app = App(services, await services.start())
    await services.vault.put("hello-key", SecretVersion(CANARY))
    await services.vault.put("tagged-key", SecretVersion(CANARY, tags={"agent": AGENT, "env": "TAGGED"}))
    with app.telemetry:
        await app.push("v1", "a")
        await app.run_queue(wait=True)
        yield app
    await services.close()


async def restored(app: App, snapshot: Snapshot) -> App:
    """The app with its services as in the snapshot, and nothing captured."""
    await app.services.restore(snapshot)
    app.clear()
    return app
