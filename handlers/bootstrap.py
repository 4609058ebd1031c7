"""Builds the real gateways once per process, at the first event and never at import.

The imports are inside the functions on purpose: a cold start is a wait, and each trigger needs only its part.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

from handlers.redaction import Guard

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.identity.aio import DefaultAzureCredential

    from core.agents_file.spec import Agents
    from handlers.gateways.interfaces import Gateways, Outcomes
    from handlers.gateways.storage.account import StorageAccount
    from handlers.settings import Settings


@cache
def settings() -> Settings:
    """The environment, read once; raises ConfigInvalid that names what is missing."""
    from handlers.settings import Settings

    return Settings.from_env(os.environ)


def agents() -> Agents:
    """The agent rules; raises ConfigInvalid, so that events are kept until the file is mended."""
    from handlers.settings import load_rules

    return load_rules(settings())


@cache
def gateways() -> Gateways:
    """The outside world, through one credential; nothing is connected before it is used."""
    from handlers.gateways.clock import SystemClock
    from handlers.gateways.foundry.client import AzureFoundry
    from handlers.gateways.foundry.rate_limiter import Looks
    from handlers.gateways.interfaces import Gateways
    from handlers.gateways.key_vault import AzureVault
    from handlers.gateways.registry import AzureImages
    from handlers.gateways.storage.journal import AzureJournal
    from handlers.gateways.storage.release_queue import AzureQueue
    from handlers.gateways.storage.state_store import AzureLedger

    given, clock, credential, account = settings(), SystemClock(), _credential(), _account()
    looks = Looks(given.looks_per_second)
    return Gateways(
        foundry=AzureFoundry(given.foundry_project_endpoint, credential, looks, clock),
        vault=AzureVault(given.key_vault_url, credential),
        ledger=AzureLedger(account, clock),
        journal=AzureJournal(account, clock),
        queue=AzureQueue(account),
        clock=clock,
        images=AzureImages(given.registry_endpoint, credential),
        outcomes=_outcomes(given, credential),
        looks=looks,
    )


@cache
def _credential() -> DefaultAzureCredential:
    from azure.identity.aio import DefaultAzureCredential

    return DefaultAzureCredential(require_envvar=True)


def signed_in() -> DefaultAzureCredential:
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
    opened = (made.foundry, made.vault, made.images, made.outcomes, _account(), _credential())
    for one in opened:
        if hasattr(one, "close"):  # where nobody is told outcomes, nothing is open
            await one.close()


def _outcomes(given: Settings, credential: AsyncTokenCredential) -> Outcomes:
    from handlers.gateways.event_grid import AzureOutcomes
    from handlers.gateways.interfaces import Nobody

    topic = given.outcome_topic_endpoint
    return AzureOutcomes(topic, given.foundry_project_endpoint, credential) if topic else Nobody()


async def event_received(event: str) -> None:
    """An event of the registry or of Key Vault."""
    from handlers.events import event_queued

    with Guard():
        await event_queued.handle(event, agents(), settings(), gateways())


async def release_asked(message: str) -> None:
    """A message of the queue ``releases``."""
    from handlers.release_agent import message as release_message

    with Guard():
        await release_message.handle(message, agents(), settings(), gateways())


async def poisoned(queue: str, message: str) -> None:
    """A message that failed five times."""
    from handlers import poison

    with Guard():
        await poison.handle(queue, message, gateways())


async def prune_due() -> None:
    """The timer of ``prune_versions``."""
    from handlers.prune_versions import run

    with Guard():
        await run.handle(agents(), settings(), gateways())


async def resume_due() -> None:
    """The timer of ``resume_releases``."""
    from handlers.resume_releases import run

    with Guard():
        await run.handle(agents(), gateways())
