"""Starts every stand-in on this machine, in order, and stops them again."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import TextBase64EncodePolicy
from azure.storage.queue.aio import QueueClient, QueueServiceClient

from core.agents_file.loader import AgentsFileError
from local import kept_state
from local.agents.pool import AgentPool
from local.arm import Arm
from local.arm_fixture import populate
from local.endpoints import PORTS, PROJECT, ROOT, app_key_name, environment, more_projects, ports_in_use, secret_names
from local.event_grid import EventGrid, Subscription, ToFunction, ToQueue
from local.folder_lock import FolderInUseError, FolderLock
from local.foundry.server import Foundry
from local.github import GitHub, new_private_key
from local.kept_state import StandIns
from local.managed_identity import IDENTITY_HEADER, ManagedIdentity
from local.private_files import SharedFolderError, make_private, write_private
from local.processes import PartExitedError, Processes
from local.registry.server import Registry
from local.stand_in import StandIn
from local.storage.account import connection_string
from local.telemetry.board import StatusBoard
from local.telemetry.server import Telemetry
from local.tls import Authority
from local.vault import SecretVersion, Vault

IMAGE_EVENTS = frozenset({"Microsoft.ContainerRegistry.ImagePushed", "Microsoft.ContainerRegistry.ImageDeleted"})
SECRET_EVENTS = frozenset({"Microsoft.KeyVault.SecretNewVersionCreated"})
QUEUES = ("events", "events-poison", "releases", "releases-poison", "commit-statuses", "commit-statuses-poison")
"""Those of infra/modules/storage.bicep: a host creates no queue that it reads."""


@dataclass
class Options:
    """Options of ``python -m local up``."""

    folder: Path
    agents: Path
    deliver: Literal["straight", "queue"] = "queue"
    free_ports: bool = False
    functions: bool = True
    """False: start the Functions host elsewhere, with the settings under ``env`` in ``endpoints.json``."""
    run_agents: bool = False
    """True: agents are processes; False: all of them give configured answers."""
    dispatcher: Path | None = None
    """Azure's own dispatchers, instead of the queue and timer triggers of the local Functions host."""
    keep: bool = False
    """True: continue with what the last stack with ``keep`` left, and leave it to the next one."""
    retry_delay_factor: float = 0.01
    """Scales the delays between Event Grid's delivery attempts."""


@dataclass
class Stack:
    """The running parts; ``endpoints`` is the content of ``endpoints.json``."""

    options: Options
    report: Callable[[str], None] = print
    endpoints: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, StandIn] = field(default_factory=dict)
    """The stand-ins in this process, by name."""
    processes: Processes = field(init=False)
    _lock: FolderLock = field(init=False)
    _stand_ins: StandIns | None = None

    def __post_init__(self) -> None:
        self.processes = Processes(self.options.folder)
        self._lock = FolderLock(self.options.folder)

    async def up(self) -> None:
        """Start everything; raise PartExitedError if a part does not start or a port is in use."""
        secrets = self._secret_names()
        folder = self._prepare_folder()
        kept = self._clear(folder)
        tls = Authority(folder / "tls")
        self.endpoints["ca"] = str(tls.ca)
        await self.start_storage()
        await self._create_queues()
        events = EventGrid(folder / "dead-letters", retry_delay_factor=self.options.retry_delay_factor)
        await self._start("eventgrid", events)
        self.endpoints["eventgrid_tls"] = await events.start(self._port("eventgrid_tls"), tls.server())
        await self._start("identity", ManagedIdentity())
        telemetry = Telemetry()
        await self._start("telemetry", telemetry)
        registry = Registry("demo", on_event=events.publish)
        url = await self._start("registry", registry)
        self.endpoints["registry"] = url.removeprefix("http://")
        self.endpoints["registry_tls"] = await registry.start(self._port("registry_tls"), tls.server())
        vault, arm = Vault("demo-vault", on_event=events.publish), Arm()
        pool = AgentPool(folder / "agent-files", self.report) if self.options.run_agents else None
        foundry = Foundry(registry_url=url, pool=pool, project_name=PROJECT)
        for name, part in (("foundry", foundry), ("vault", vault), ("arm", arm)):
            await self._start(name, part, tls)
        populate(arm, self.endpoints, *more_projects(self.options.agents))
        self._stand_ins = StandIns(foundry, registry, vault, telemetry)
        if kept:
            await kept_state.restore(kept, self._stand_ins)
        for place, name in secrets:
            if name.lower() not in vault.secrets_in(place):
                await vault.put(name, SecretVersion(f"made-up-{uuid.uuid4().hex[:12]}"), place)
        await self._start_github(vault, tls)
        self.endpoints["env"] = environment(self.endpoints, self.options.agents)
        board = StatusBoard(self.endpoints["env"])
        telemetry.board, telemetry.decided = board.rows, board.decided
        if self.options.functions:
            await self._start_functions()
        self._subscribe(events)
        write_private(folder / "endpoints.json", json.dumps(self.endpoints, indent=1).encode())

    async def wait_for_exit(self) -> None:
        """Wait until a process exits, then raise PartExitedError."""
        await self.processes.wait_for_exit()

    async def down(self) -> None:
        """Remove ``endpoints.json``, end every process, then stop every server."""
        if "env" in self.endpoints:  # if not, the file belongs to another stack
            (self.options.folder / "endpoints.json").unlink(missing_ok=True)
        await self.processes.down()
        if self.options.keep and "env" in self.endpoints and self._stand_ins is not None:
            kept_state.save(self.options.folder, self._stand_ins)
        for part in reversed(self.parts.values()):
            await part.stop()
        self._lock.release()

    def _secret_names(self) -> list[tuple[str, str]]:
        try:
            return secret_names(self.options.agents)
        except AgentsFileError as error:
            raise PartExitedError(error.text_for(str(self.options.agents))) from error

    def _prepare_folder(self) -> Path:
        """Make the folder private, lock it, and check that the ports are free."""
        try:
            folder = make_private(self.options.folder)
            self._lock.acquire()
        except (SharedFolderError, FolderInUseError) as error:
            raise PartExitedError(str(error)) from error
        in_use = {} if self.options.free_ports else ports_in_use(PORTS)
        if in_use:
            ports = ", ".join(f"{port} ({name})" for name, port in in_use.items())
            how = "stop the process there, or take free ports: make up ARGS='--ports 0'"
            raise PartExitedError(f"port {ports} is in use: {how}")
        (folder / "endpoints.json").unlink(missing_ok=True)
        return folder

    def _clear(self, folder: Path) -> dict[str, Any] | None:
        """Remove what an earlier stack left, or return the state of its stand-ins to continue with.

        The state of the app in storage names versions of Foundry's, images of the registry's and secrets of the
        vault's: all of them go on, or all begin empty. On Azure the timers' statuses and leases are in storage.
        """
        kept = kept_state.take(folder)
        if self.options.keep and kept is not None:
            return kept
        if self.options.keep:
            self.report("nothing was kept: no stack with --keep has stopped in this folder; this one begins afresh")
        for state in ("storage", "dead-letters", "timers"):
            shutil.rmtree(folder / state, ignore_errors=True)
        return None

    async def start_storage(self) -> None:
        """Start the storage account; after a kill it continues with the same state and addresses."""
        folder = str(self.options.folder / "storage")
        ports = ["--blob-port", str(self._port("blob")), "--queue-port", str(self._port("queue"))]
        arguments = ["local.storage", folder, *ports, "--cert", str(self.options.folder / "tls" / "server.pem")]
        self.endpoints |= await self.processes.start("storage", arguments, {**os.environ})
        self.report(f"{'storage':12} {self.endpoints['blob']} {self.endpoints['queue']}")

    async def _create_queues(self) -> None:
        string = connection_string(self.endpoints)
        async with QueueServiceClient.from_connection_string(string, connection_verify=self.endpoints["ca"]) as account:
            for name in QUEUES:
                with suppress(ResourceExistsError):  # of a stack that is continued
                    await account.create_queue(name)

    def _port(self, name: str) -> int:
        """Return the port on which a part listens or will listen."""
        if name in self.endpoints:
            return urlsplit(self.endpoints[name]).port or 0
        return 0 if self.options.free_ports else PORTS[name]

    async def _start(self, name: str, part: StandIn, tls: Authority | None = None) -> str:
        self.endpoints[name] = await part.start(self._port(name), tls.server() if tls else None)
        self.parts[name] = part
        self.report(f"{part.name:12} {part.url}")
        return part.url

    async def _start_github(self, vault: Vault, tls: Authority) -> None:
        """Start GitHub, which trusts the App's key in the vault; a key that is not one stays, and signs nothing."""
        github, name = GitHub(), app_key_name(self.options.agents)
        await self._start("github", github, tls)
        if name and name.lower() not in vault.secrets:
            await vault.put(name, SecretVersion(new_private_key()))
        if name:
            with suppress(ValueError):
                github.trust(vault.secrets[name.lower()][-1].value)

    async def _start_functions(self) -> None:
        arguments = ["local.functions_host", "--app", str(ROOT), "--port", str(self._port("functions"))]
        environment = {**os.environ, **self.endpoints["env"], "IDENTITY_HEADER": IDENTITY_HEADER}
        arguments += ["--folder", str(self.options.folder)]
        arguments += ["--dispatcher", str(self.options.dispatcher)] if self.options.dispatcher else []
        self.endpoints |= await self.processes.start("functions", arguments, environment)
        self.report(f"{'functions':12} {self.endpoints['functions']}")

    def _subscribe(self, events: EventGrid) -> None:
        if self.options.deliver == "straight":
            functions = self.endpoints["functions"]
            events.subscriptions = [
                Subscription(IMAGE_EVENTS, ToFunction(functions, "image_pushed")),
                Subscription(SECRET_EVENTS, ToFunction(functions, "secret_changed")),
            ]
            return
        events.subscriptions = [Subscription(IMAGE_EVENTS | SECRET_EVENTS, ToQueue(self._send_to_queue))]

    async def _send_to_queue(self, text: str) -> int:
        """Send an event as Event Grid does to a storage queue: base64, no array; return the HTTP status."""
        client = QueueClient.from_connection_string(
            connection_string(self.endpoints),
            "events",
            message_encode_policy=TextBase64EncodePolicy(),
            connection_verify=self.endpoints["ca"],
            retry_total=0,  # Event Grid has its own retry schedule
        )
        async with client:
            try:
                await client.send_message(text)
            except ResourceNotFoundError:
                return 404
            except AzureError:
                return 503
        return 200
