"""What the size of a vault or of a repository costs: requests of a rotation, of a release and of a tag list."""

from __future__ import annotations

import asyncio
import math
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from azure.containerregistry.aio import ContainerRegistryClient
from azure.keyvault.secrets.aio import SecretClient

from bench.report import Row
from bench.testbed import Effort, NotMeasuredError
from core.agents_file.loader import load_agents
from core.events import SecretChanged
from handlers.events.secret_changed import handle_secret_change
from handlers.gateways.clock import SystemClock
from handlers.gateways.in_memory.foundry import InMemoryFoundry
from handlers.gateways.in_memory.journal import InMemoryJournal
from handlers.gateways.in_memory.registry import InMemoryRegistry
from handlers.gateways.in_memory.release_queue import InMemoryReleaseQueue
from handlers.gateways.in_memory.state_store import InMemoryStateStore
from handlers.gateways.interfaces import Gateways
from handlers.gateways.key_vault import AzureKeyVault
from handlers.gateways.registry import PAGE_SIZE, AzureRegistry
from handlers.telemetry.decision_log import DecisionLog
from local.credentials import AsyncLocalCredential
from local.registry.repository import Repository
from local.registry.server import Registry
from local.stand_in import StandIn
from local.tls import Authority
from local.vault import SecretVersion, Vault

AGENTS, SECRETS, TAGS = 200, 1_000, 10_000
REPOSITORY, SECRET_PAGE = "agents/hello", 25
DIGEST = f"sha256:{'0' * 64}"
METHOD = "The product's gateway with the real SDK, from its first request, which has no token yet; the stand-in counts"


def rows(effort: Effort) -> Iterator[Row]:
    """A row per question, each at a size, at its double, and at a size that is bad input."""
    secrets = [effort.choose(size, size // 10) for size in (SECRETS, 2 * SECRETS, 10 * SECRETS)]
    yield _rotation_row(effort.choose(AGENTS, 20), secrets)
    yield _variables_row(secrets)
    tags = [effort.choose(size, size // 10) for size in (TAGS, 2 * TAGS, 5 * TAGS)]
    yield _tags_row(tags)
    yield _newest_tags_row(tags[-1])


def _rotation_row(agents: int, sizes: Sequence[int]) -> Row:
    return _requests_row(
        {size: asyncio.run(rotation_requests(agents, size)) for size in sizes},
        "secrets",
        sizes[0],
        name=f"rotation, vault of {sizes[0]:,}",
        description=f"requests to the vault for a rotation of a secret that none of {agents} agents uses",
        target=math.ceil(sizes[0] / SECRET_PAGE),
        bound=1,
        bound_description="the versions of the secret, once for all agents with env_from_vault",
    )


def _variables_row(sizes: Sequence[int]) -> Row:
    return _requests_row(
        {size: asyncio.run(variable_requests(size)) for size in sizes},
        "secrets",
        sizes[-1],
        name=f"env_from_vault, vault of {sizes[-1]:,}",
        description="requests to the vault for the variables of a release",
        target=math.ceil(sizes[-1] / SECRET_PAGE) + 1,
        bound=math.ceil(sizes[-1] / SECRET_PAGE),
        bound_description=f"{SECRET_PAGE} secrets a page, which is the most that Key Vault gives",
    )


def _tags_row(sizes: Sequence[int]) -> Row:
    return _requests_row(
        {size: asyncio.run(tag_requests(size)) for size in sizes},
        "tags",
        sizes[0],
        name=f"tags, repository of {sizes[0]:,}",
        description="requests to the registry for all tags",
        target=sizes[0] / PAGE_SIZE + 1,
        bound=sizes[0] / PAGE_SIZE,
        bound_description=f"{PAGE_SIZE} tags a page",
    )


def _requests_row(counts: Mapping[int, int], things: str, size: int, **row: Any) -> Row:
    """A row about the requests at one size, with those at the other sizes as details."""
    details = {f"{number:,} {things}": count for number, count in counts.items()}
    return Row(unit="requests", value=counts[size], method=METHOD, details=details, **row)


def _newest_tags_row(size: int) -> Row:
    return Row(
        name=f"newest tags, repository of {size:,}",
        description="requests to the registry where the first page answers the question",
        unit="requests",
        value=asyncio.run(tag_requests(size, pages=1)),
        target=2,
        bound=1,
        bound_description="one page",
        method=METHOD,
    )


async def rotation_requests(agents: int, secrets: int) -> int:
    """The vault's requests for a rotation of a secret that no agent uses; each agent has env_from_vault."""
    async with _vault(secrets) as (vault, gateway):
        lines = [f"  agent-{n}: {{repository: {REPOSITORY}, env_from_vault: true}}" for n in range(agents)]
        clock = SystemClock()
        gateways = Gateways(
            foundry=InMemoryFoundry(clock),
            key_vault=gateway,
            state_store=InMemoryStateStore(clock),
            journal=InMemoryJournal(),
            release_queue=InMemoryReleaseQueue(clock),
            clock=clock,
            registry=InMemoryRegistry(),
        )
        changed = SecretChanged("demo-vault.vault.azure.net", "secret-0", "1", "event")
        decisions = DecisionLog(gateways.journal, clock, {})
        await handle_secret_change(changed, load_agents("\n".join(["agents:", *lines]).encode()), decisions, gateways)
        return count(vault)


async def variable_requests(secrets: int) -> int:
    """The vault's requests for the variables that the tags of its secrets give an agent."""
    async with _vault(secrets) as (vault, gateway):
        await gateway.tagged_secrets("agent-0")
        return count(vault)


async def tag_requests(tags: int, pages: int | None = None) -> int:
    """The registry's requests for a list of tags, or for its first pages."""
    registry = Registry("demo")
    async with served(registry) as (url, options):
        names = {f"v{number}": DIGEST for number in range(tags)}
        times = {tag: 1e9 + number for number, tag in enumerate(names)}
        registry.repositories[REPOSITORY] = Repository(tags=names, tagged_at=times)
        gateway, listed = LocalRegistry(url, options), 0

        def is_enough(_: object) -> bool:
            nonlocal listed
            listed += 1
            return listed == pages

        found = await gateway.list_tags(REPOSITORY, is_enough)
        await gateway.close()
        if len(found) != (tags if pages is None else min(tags, pages * PAGE_SIZE)):
            raise NotMeasuredError(f"{len(found)} tags were listed")
        return count(registry)


class LocalRegistry(AzureRegistry):
    """The gateway with a client that trusts the stand-in."""

    def __init__(self, url: str, options: dict[str, Any]) -> None:
        super().__init__(url, AsyncLocalCredential())
        self._client.instance = ContainerRegistryClient(url, AsyncLocalCredential(), **options)


class LocalVault(AzureKeyVault):
    """The gateway with a client that trusts the stand-in."""

    def __init__(self, url: str, options: dict[str, Any]) -> None:
        super().__init__(url, AsyncLocalCredential())
        self._client.instance = SecretClient(url, AsyncLocalCredential(), **options)


@asynccontextmanager
async def _vault(secrets: int) -> AsyncIterator[tuple[Vault, AzureKeyVault]]:
    vault = Vault("demo-vault")
    vault.secrets |= {f"secret-{number}": [SecretVersion("value")] for number in range(secrets)}
    async with served(vault) as (url, options):
        gateway = LocalVault(url, options)
        yield vault, gateway
        await gateway.close()


@asynccontextmanager
async def served(stand_in: StandIn) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """The TLS address of a stand-in, and options of a client that trusts it."""
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder:
        authority = Authority(Path(folder))
        await stand_in.start()
        try:
            yield await stand_in.start(tls=authority.server()), {"connection_verify": str(authority.ca)}
        finally:
            await stand_in.stop()


def count(stand_in: StandIn) -> int:
    """The requests, the client's first one without a token too; its token exchange goes to another service."""
    return len([line for line in stand_in.requests if "/oauth2/" not in line["path"]])
