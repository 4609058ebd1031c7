"""The real handlers and the real gateways against parts that go wrong, and a host that hands over what is due."""

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
from tests.contract.faulty_services import CONTAINER, QUEUE, Parts
from tests.simulation.scene import ENVIRONMENT
from tests.support.builders import push_data, push_event
from tests.support.captured_telemetry import Ears

AGENT, CANARY = "hello-agent", "canary-7d3e"
RULES = b"""
agents:
  hello-agent:
    repository: agents/hello
    env: {KEY: {secret: hello-key}}
    env_from_vault: true
    tools: [{type: code_interpreter}]
    inspect: required
"""
TRIES, PAUSE = 5, 60.0
"""How often the host hands a message over, and the seconds between (host.json)."""


class House:
    """A Functions host where nobody waits: its clock passes when somebody sleeps."""

    def __init__(self, parts: Parts, gateways: Gateways) -> None:
        self.parts, self.outside, self.clock = parts, gateways, parts.clock
        self.agents, self.settings = load_agents(RULES), Settings.from_env(ENVIRONMENT)
        self.ears, self.raised, self.poison = Ears(), list[Exception](), list[tuple[str, str]]()

    def forget(self) -> None:
        """Forget what was heard, raised and buried."""
        self.ears.forget()
        self.raised.clear()
        self.poison.clear()

    # What the world does

    async def pushed(self, tag: str, letter: str) -> None:
        """Somebody pushes, and Event Grid's message is handed over."""
        self.clock.passed += 60
        data = push_data(tag=tag, digest=self.parts.images[letter].digest)
        data["timestamp"] = self.clock.now().isoformat()
        event = push_event(id=f"event-{tag}", eventTime=self.clock.now().isoformat(), data=data)
        await self.delivered("events", json.dumps(event))

    async def delivered(self, queue: str, text: str) -> None:
        """Hand a message over until it is taken, and bury it after five tries, as the host does."""
        handle = handle_event if queue == "events" else handle_message
        for _ in range(TRIES):
            if await self._taken(handle(text, self.agents, self.settings, self.outside)):
                return
            await self.clock.sleep(PAUSE)
        self.poison.append((queue, text))
        await self._taken(handle_poison_message(queue, text, self.outside))  # where it is not, it stays in its queue

    async def _taken(self, function: Awaitable[None]) -> bool:
        """True where the function returns; what it raises is told by the host."""
        try:
            with RedactedErrors():
                await function
        except (GatewayError, HiddenError) as error:
            self.raised.append(error)
            return False
        return True

    async def put_back(self) -> None:
        """A person puts every poisoned message back."""
        poison = list(self.poison)
        self.poison.clear()
        for queue, text in poison:
            await self.delivered(queue, text)

    async def work(self, *, wait: bool) -> None:
        """Hand over what the queue has; with ``wait`` also what is not due yet."""
        for _ in range(50):
            due = self.waiting()[:1]
            if not due or (due[0].visible > self.clock.now().timestamp() and not wait):
                return
            await self.clock.sleep(max(0.0, due[0].visible - self.clock.now().timestamp()))
            self.parts.storage.store.delete_message(due[0].id)
            await self.delivered(QUEUE, base64.b64decode(due[0].text).decode())
        raise AssertionError("the queue never becomes empty")

    async def resumed(self) -> None:
        """The timer takes up what is unfinished."""
        self.clock.passed += PAUSE
        await resume_releases(self.agents, self.outside)
        await self.work(wait=True)

    # What there is to see

    def waiting(self) -> list[Message]:
        """The messages of ``releases``, the next first."""
        return self.parts.storage.store.messages(QUEUE)

    def live(self) -> str:
        """The letter of the image that serves."""
        serving = self.parts.foundry.project.agents[AGENT].live_version()
        named = str(serving.definition["container_configuration"]["image"]) if serving else ""
        return "".join(letter for letter, image in self.parts.images.items() if named.endswith(image.digest))

    def made(self, letter: str) -> int:
        """How many versions there are of an image."""
        versions = self.parts.foundry.project.agents[AGENT].versions.values()
        digest = self.parts.images[letter].digest
        return sum(one.definition["container_configuration"]["image"].endswith(digest) for one in versions)

    async def wanted(self) -> DesiredState:
        return await self.outside.state_store.get_desired(AGENT)

    def everything_said(self) -> str:
        """Logs, exceptions as the host prints them, the ledger, the journal and the queue."""
        raised = ["".join(traceback.format_exception(error)) for error in self.raised]
        blobs = [blob.data.decode() for _, blob in self.parts.storage.store.list_blobs(CONTAINER, "")]
        return "\n".join([self.ears.text(), *raised, *blobs, *(one.text for one in self.waiting())])


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[House]:
    """A house where v1 of image ``a`` is live already."""
    parts = Parts(folder, Authority(folder))
    house = House(parts, await parts.start())
    await parts.vault.put("hello-key", SecretVersion(CANARY))
    await parts.vault.put("tagged-key", SecretVersion(CANARY, tags={"agent": AGENT, "env": "TAGGED"}))
    with house.ears:
        await house.pushed("v1", "a")
        await house.work(wait=True)
        yield house
    await parts.end()
