"""Builds the gateways once per process, at the first event, and calls each trigger's handler.

The imports stand inside the functions: each trigger loads only what it needs, which shortens the cold start.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

from handlers.redaction import RedactedErrors

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.identity.aio import DefaultAzureCredential

    from core.agents_file.spec import Agents
    from handlers.gateways.interfaces import Gateways, OutcomePublisher
    from handlers.gateways.storage.account import StorageAccount
    from handlers.settings import Settings


@cache
def settings() -> Settings:
    """The environment, read once; raises ConfigError that names what is missing."""
    from handlers.settings import Settings

    return Settings.from_env(os.environ)


def agents() -> Agents:
    """The agent rules; raises ConfigError, so that events are kept until the file is mended."""
    from handlers.agents_file import load_agents_file

    return load_agents_file(settings())


@cache
def gateways() -> Gateways:
    """The outside world, through one credential; nothing is connected before it is used."""
    from handlers.gateways.clock import SystemClock
    from handlers.gateways.foundry.client import AzureFoundry
    from handlers.gateways.foundry.rate_limiter import FoundryRateLimiter
    from handlers.gateways.interfaces import Gateways
    from handlers.gateways.key_vault import AzureKeyVault
    from handlers.gateways.registry import AzureRegistry
    from handlers.gateways.storage.journal import BlobJournal
    from handlers.gateways.storage.release_queue import StorageReleaseQueue
    from handlers.gateways.storage.state_store import BlobStateStore

    given, clock, credential, account = settings(), SystemClock(), _credential(), _account()
    looks = FoundryRateLimiter(given.foundry_reads_per_second)
    return Gateways(
        foundry=AzureFoundry(given.foundry_project_endpoint, credential, looks, clock),
        key_vault=AzureKeyVault(given.key_vault_url, credential),
        state_store=BlobStateStore(account, clock),
        journal=BlobJournal(account, clock),
        release_queue=StorageReleaseQueue(account),
        clock=clock,
        registry=AzureRegistry(given.registry_endpoint, credential),
        outcome_publisher=_outcomes(given, credential),
        rate_limiter=looks,
    )


@cache
def _credential() -> DefaultAzureCredential:
    from azure.identity.aio import DefaultAzureCredential

    return DefaultAzureCredential(require_envvar=True)


def credential() -> DefaultAzureCredential:
    """The one credential of the process."""
    return _credential()


@cache
def _account() -> StorageAccount:
    from handlers.gateways.storage.account import StorageAccount

    given = settings()
    if given.storage:
        return StorageAccount.from_connection_string(given.storage)
    return StorageAccount.from_uris(given.blob_uri, given.queue_uri, _credential())


async def close() -> None:
    """Close what was opened: for a process that ends after one command; a Functions host never does."""
    made: Any = gateways()
    opened = (made.foundry, made.key_vault, made.registry, made.outcome_publisher, _account(), _credential())
    for one in opened:
        if hasattr(one, "close"):  # where nobody is told outcomes, nothing is open
            await one.close()


def _outcomes(given: Settings, credential: AsyncTokenCredential) -> OutcomePublisher:
    from handlers.gateways.event_grid import EventGridPublisher
    from handlers.gateways.interfaces import NoOutcomePublisher

    topic = given.outcome_topic_endpoint
    return EventGridPublisher(topic, given.foundry_project_endpoint, credential) if topic else NoOutcomePublisher()


async def image_pushed(event: str) -> None:
    """Handle a push that Event Grid delivered."""
    await event_queued(event)


async def secret_changed(event: str) -> None:
    """Handle a secret's new version that Event Grid delivered."""
    await event_queued(event)


async def event_queued(message: str) -> None:
    """Handle an event of either kind, straight from Event Grid or from the queue ``events``."""
    from handlers.events.event_queued import handle_event

    with RedactedErrors():
        await handle_event(message, agents(), settings(), gateways())


async def release_agent(message: str) -> None:
    """Handle a message of the queue ``releases``."""
    from handlers.release_agent.reconcile import handle_message

    with RedactedErrors():
        await handle_message(message, agents(), settings(), gateways())


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
        await prune_versions(agents(), settings(), gateways())


async def resume_releases() -> None:
    """Handle the timer that finds lost, stuck, drifted and missed work."""
    from handlers.resume_releases.run import resume_releases

    with RedactedErrors():
        await resume_releases(agents(), gateways())


async def _poisoned(queue: str, message: str) -> None:
    from handlers.poison import handle_poison_message

    with RedactedErrors():
        await handle_poison_message(queue, message, gateways())
