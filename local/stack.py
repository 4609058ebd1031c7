"""Brings every part of Azure up on this machine, in order, and down again."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.queue import TextBase64EncodePolicy
from azure.storage.queue.aio import QueueClient

from local.arm import Arm
from local.arm_fixture import furnish
from local.endpoints import PORTS, ROOT, environment, secret_names, taken
from local.event_grid import EventGrid, Straight, Subscription, ToQueue
from local.foundry.server import Foundry
from local.managed_identity import Identity
from local.processes import PartDiedError, Processes
from local.registry.server import Registry
from local.stand_in import StandIn
from local.storage.account import connection_string
from local.telemetry.server import Telemetry
from local.tls import Authority
from local.vault import SecretVersion, Vault

ImageTypes = frozenset({"Microsoft.ContainerRegistry.ImagePushed", "Microsoft.ContainerRegistry.ImageDeleted"})
SecretTypes = frozenset({"Microsoft.KeyVault.SecretNewVersionCreated"})


@dataclass
class Options:
    """What ``python -m local up`` was asked for."""

    folder: Path
    agents: Path
    deliver: Literal["straight", "queue"] = "queue"
    free_ports: bool = False
    functions: bool = True
    """False: somebody else runs the Functions host, with the settings that ``endpoints.json`` has under ``env``."""
    factor: float = 0.01
    """Event Grid's pauses between tries, scaled."""


@dataclass
class Stack:
    """The parts that run; ``endpoints`` is what ``endpoints.json`` says."""

    options: Options
    say: Callable[[str], None] = print
    endpoints: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, StandIn] = field(default_factory=dict)
    """The stand-ins of this very process, by name."""
    processes: Processes = field(init=False)

    def __post_init__(self) -> None:
        self.processes = Processes(self.options.folder)

    async def up(self) -> None:
        """Start everything; raises PartDiedError, also where a port is taken."""
        folder = self._cleared()
        tls = Authority(folder / "tls")
        self.endpoints["ca"] = str(tls.ca)
        await self.start_storage()
        events = EventGrid(folder / "dead-letters", factor=self.options.factor)
        await self._start("eventgrid", events)
        self.endpoints["eventgrid_tls"] = await events.start(self._port("eventgrid_tls"), tls.server())
        await self._start("identity", Identity())
        await self._start("telemetry", Telemetry())
        registry = Registry("demo", on_push=events.publish)
        url = await self._start("registry", registry)
        self.endpoints["registry"] = url.removeprefix("http://")
        self.endpoints["registry_tls"] = await registry.start(self._port("registry_tls"), tls.server())
        vault, arm = Vault("demo-vault", on_event=events.publish), Arm()
        for name, part in (("foundry", Foundry(registry_url=url)), ("vault", vault), ("arm", arm)):
            await self._start(name, part, tls)
        furnish(arm, self.endpoints)
        for name in secret_names(self.options.agents):
            await vault.put(name, SecretVersion(f"made-up-{uuid.uuid4().hex[:12]}"))
        self.endpoints["env"] = environment(self.endpoints, self.options.agents)
        if self.options.functions:
            await self._functions()
        self._subscribe(events)
        temporary = folder / "endpoints.json.new"
        temporary.write_text(json.dumps(self.endpoints, indent=1))
        temporary.replace(folder / "endpoints.json")

    async def watch(self) -> None:
        """Return never; raises PartDiedError when a process ends."""
        await self.processes.watch()

    async def down(self) -> None:
        """End every process by its id, then every server; nobody is told any more where they were."""
        if "env" in self.endpoints:  # else the file is another stack's
            (self.options.folder / "endpoints.json").unlink(missing_ok=True)
        await self.processes.down()
        for part in reversed(self.parts.values()):
            await part.stop()

    def _cleared(self) -> Path:
        """The folder, without what an earlier stack said, and with nobody on its ports."""
        busy = {} if self.options.free_ports else taken(PORTS)
        if busy:
            told = ", ".join(f"{port} ({name})" for name, port in busy.items())
            raise PartDiedError(f'port {told} is taken: end what listens there, or make up ARGS="--ports 0"')
        (self.options.folder / "endpoints.json").unlink(missing_ok=True)
        return self.options.folder

    async def start_storage(self) -> None:
        """Start the storage account; after a kill it has its state and its addresses again."""
        folder = str(self.options.folder / "storage")
        ports = ["--blob-port", str(self._port("blob")), "--queue-port", str(self._port("queue"))]
        arguments = ["local.storage", folder, *ports, "--cert", str(self.options.folder / "tls" / "server.pem")]
        self.endpoints |= await self.processes.start("storage", arguments, {**os.environ})
        self.say(f"{'storage':12} {self.endpoints['blob']} {self.endpoints['queue']}")

    def _port(self, name: str) -> int:
        """Where the part listens already, or is to listen."""
        if name in self.endpoints:
            return urlsplit(self.endpoints[name]).port or 0
        return 0 if self.options.free_ports else PORTS[name]

    async def _start(self, name: str, part: StandIn, tls: Authority | None = None) -> str:
        self.endpoints[name] = await part.start(self._port(name), tls.server() if tls else None)
        self.parts[name] = part
        self.say(f"{part.name:12} {part.url}")
        return part.url

    async def _functions(self) -> None:
        arguments = ["local.functions_host", "--app", str(ROOT), "--port", str(self._port("functions"))]
        environment = {**os.environ, **self.endpoints["env"]}
        arguments += ["--folder", str(self.options.folder)]
        self.endpoints |= await self.processes.start("functions", arguments, environment)
        self.say(f"{'functions':12} {self.endpoints['functions']}")

    def _subscribe(self, events: EventGrid) -> None:
        if self.options.deliver == "straight":
            functions = self.endpoints["functions"]
            events.subscriptions = [
                Subscription(ImageTypes, Straight(functions, "image_pushed")),
                Subscription(SecretTypes, Straight(functions, "secret_changed")),
            ]
            return
        events.subscriptions = [Subscription(ImageTypes | SecretTypes, ToQueue(self._send))]

    async def _send(self, text: str) -> int:
        """As Event Grid does with a storage queue: base64, no array; the queue is there before the subscription."""
        client = QueueClient.from_connection_string(
            connection_string(self.endpoints),
            "events",
            message_encode_policy=TextBase64EncodePolicy(),
            connection_verify=self.endpoints["ca"],
            retry_total=0,  # Event Grid has a schedule of its own
        )
        async with client:
            try:
                await client.send_message(text)
            except ResourceNotFoundError:
                return 404
            except AzureError:
                return 503
        return 200
