"""Builds the gateways once per process, at the first event, and calls each trigger's handler.

Imports are inside the functions: each trigger loads only what it needs, which shortens the cold start.
"""

from __future__ import annotations

import asyncio
import gc
import os
from functools import cache
from typing import TYPE_CHECKING, Any

from handlers.concurrency import gather_two
from handlers.redaction import RedactedErrors

if TYPE_CHECKING:
    from azure.identity.aio import DefaultAzureCredential

    from core.agents_file.spec import Agents
    from handlers.gateways.commit_statuses import GitHub
    from handlers.gateways.foundry.client import AzureFoundry
    from handlers.gateways.foundry.rate_limiter import FoundryRateLimiter
    from handlers.gateways.interfaces import Gateways
    from handlers.gateways.project_vaults import ProjectVaults
    from handlers.gateways.registry import AzureRegistry
    from handlers.gateways.storage.account import StorageAccount
    from handlers.settings import Settings

MIN_NEW_OBJECTS = 10_000
"""Until the next garbage collection. Python's 700 are those of a few requests, which are still in use: during 32
releases at once the collector ran 90 times, in place of 6."""
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # it would read the metadata of every package for plugins


@cache
def settings() -> Settings:
    """The settings, read once; raises ConfigError."""
    from handlers.settings import Settings

    return Settings.from_env(os.environ)


def agents() -> Agents:
    """The agents of agents.yaml; raises ConfigError, so that events are kept until the file is corrected."""
    from handlers.agents_file import load_agents_file

    return load_agents_file(settings())


async def _agents(message: str = "") -> Agents:
    """The agents; a file that cannot be loaded is recorded, with what waits for it, before it is raised."""
    from handlers.settings import ConfigError

    env = settings()
    try:
        return agents()
    except ConfigError as error:
        from handlers.events.broken_config import record_broken_config

        await record_broken_config(str(error), message, env, gateways())
        raise


@cache
def credential() -> DefaultAzureCredential:
    """The one credential of the process."""
    from azure.identity.aio import DefaultAzureCredential

    return DefaultAzureCredential(require_envvar=True)


@cache
def account() -> StorageAccount:
    """The storage account of the app, or of the settings on a laptop."""
    from handlers.gateways.storage.account import StorageAccount

    env = settings()
    if env.storage:
        return StorageAccount.from_connection_string(env.storage)
    return StorageAccount.from_uris(env.blob_uri, env.queue_uri, credential())


@cache
def _vaults() -> ProjectVaults:
    from handlers.gateways.key_vault import AzureKeyVault
    from handlers.gateways.project_vaults import ProjectVaults

    def connect(address: str) -> AzureKeyVault:
        return AzureKeyVault(address, credential())

    return ProjectVaults(connect(settings().key_vault_url), lambda: agents().vaults, connect)


@cache
def _registry() -> AzureRegistry:
    from handlers.gateways.registry import AzureRegistry

    return AzureRegistry(settings().registry_endpoint, credential())


@cache
def _limiter(project: str) -> FoundryRateLimiter:
    from handlers.gateways.foundry.rate_limiter import FoundryRateLimiter
    from handlers.gateways.storage.instances import BlobInstances

    return FoundryRateLimiter(settings().foundry_reads_per_second, BlobInstances(account(), project))


@cache
def _project(name: str, endpoint: str) -> AzureFoundry:
    from handlers.gateways.clock import SystemClock
    from handlers.gateways.foundry.client import AzureFoundry

    return AzureFoundry(endpoint, credential(), _limiter(name), SystemClock())


def _default_project() -> AzureFoundry:
    from core.target import DEFAULT_PROJECT

    return _project(DEFAULT_PROJECT, settings().foundry_project_endpoint)


@cache
def gateways() -> Gateways:
    """All gateways, with one credential; nothing connects before it is used."""
    from core.target import DEFAULT_PROJECT
    from handlers.gateways.clock import SystemClock
    from handlers.gateways.event_grid import EventGridPublisher
    from handlers.gateways.foundry.projects import FoundryProjects
    from handlers.gateways.interfaces import Gateways
    from handlers.gateways.shared_registry import SharedRegistry
    from handlers.gateways.storage.journal import BlobJournal
    from handlers.gateways.storage.release_queue import StorageCommitStatusQueue, StorageReleaseQueue
    from handlers.gateways.storage.state_store import BlobStateStore

    env, clock, storage = settings(), SystemClock(), account()
    project, topic, vaults = env.foundry_project_endpoint, env.outcome_topic_endpoint, _vaults()
    return Gateways(
        foundry=FoundryProjects(_default_project(), lambda: agents().projects, _project),
        key_vault=vaults.of(DEFAULT_PROJECT),
        state_store=BlobStateStore(storage, clock),
        journal=BlobJournal(storage, clock),
        release_queue=StorageReleaseQueue(storage),
        clock=clock,
        registry=SharedRegistry(_registry(), clock),
        outcome_publisher=EventGridPublisher(topic, project, credential()) if topic else None,
        commit_statuses=StorageCommitStatusQueue(storage),
        rate_limiter=_limiter(DEFAULT_PROJECT),
        project_limiter=_limiter,
        project_vault=vaults.of,
    )


@cache
def _github() -> GitHub:
    from handlers.gateways.github import GitHubDeployments

    return GitHubDeployments(gateways().clock)


async def close() -> None:
    """Close all connections: for a process that ends after one command; a Functions host never calls it."""
    made = gateways()
    clients: list[Any] = [made.foundry, _vaults(), _registry(), made.outcome_publisher, account(), credential()]
    for client in filter(None, clients):
        await client.close()


@cache
def _preparation(handler: str, *, releases: bool) -> asyncio.Future[None]:
    """Once in a process: import a trigger's handler and the gateways, while tokens are on the way."""
    from handlers.gateways.cold_start import FOUNDRY, KEY_VAULT, STORAGE, prepare

    gc.set_threshold(MIN_NEW_OBJECTS)
    storage = ("handlers.gateways.storage.state_store", "azure.storage.queue.aio")
    modules = (handler, "handlers.agents_file", *storage, "handlers.gateways.registry")
    services = [*([] if settings().storage else [STORAGE]), *([FOUNDRY, KEY_VAULT] if releases else [])]
    return asyncio.ensure_future(prepare(modules, credential(), services))


async def event_queued(message: str) -> None:
    """Handle an event of either kind, from Event Grid or from the queue ``events``."""
    with RedactedErrors():
        await asyncio.shield(_preparation("handlers.events.event_queued", releases=False))
    from handlers.events.event_queued import handle_event

    with RedactedErrors():
        await handle_event(message, await _agents(message), settings(), gateways())


image_pushed = secret_changed = event_queued


async def release_agent(message: str) -> None:
    """Handle a message of the queue ``releases``."""
    with RedactedErrors():
        await asyncio.shield(_preparation("handlers.release_agent.reconcile", releases=True))
    from handlers.release_agent.reconcile import handle_message

    with RedactedErrors():
        release = handle_message(message, await _agents(message), settings(), gateways())
        await gather_two(release, _default_project().prepare())  # its SDK takes most of a second to import


async def commit_status(message: str) -> None:
    """Handle a message of the queue ``commit-statuses``."""
    from handlers.commit_status import handle_message

    with RedactedErrors():
        await handle_message(message, agents(), settings(), gateways(), _github())


async def commit_status_poisoned(message: str) -> None:
    """Handle a message of ``commit-statuses`` that failed five times."""
    await _poisoned("commit-statuses", message)


async def release_poisoned(message: str) -> None:
    """Handle a message of ``releases`` that failed five times."""
    await _poisoned("releases", message)


async def event_poisoned(message: str) -> None:
    """Handle a message of ``events`` that failed five times."""
    await _poisoned("events", message)


async def prune_versions() -> None:
    """Handle the timer that deletes stale versions."""
    from handlers.prune_versions.run import prune_versions

    with RedactedErrors():
        await prune_versions(await _agents(), settings(), gateways())


async def resume_releases() -> None:
    """Handle the timer that finds lost, stuck, drifted and missed work, and sends the heartbeat."""
    from handlers.resume_releases.run import resume_releases

    gc.set_threshold(MIN_NEW_OBJECTS)
    with RedactedErrors():
        await resume_releases(await _agents(), gateways())


async def _poisoned(queue: str, message: str) -> None:
    from handlers.poison import handle_poison_message

    with RedactedErrors():
        await handle_poison_message(queue, message, gateways())
