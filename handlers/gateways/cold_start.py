"""The first event of a process: imports run in a thread, while the tokens of its first calls are on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError

from handlers.concurrency import gather_all, gather_two
from handlers.gateways.imports import without_collections

STORAGE, FOUNDRY, KEY_VAULT = "https://storage.azure.com", "https://ai.azure.com", "https://vault.azure.net"
"""What the SDKs ask tokens for; the credential keeps them until the SDKs do."""
MAX_TOKEN_SECONDS = 5.0
"""A sign-in that takes longer is left to the calls that need it: they retry, and say what failed."""


async def prepare(
    modules: Sequence[str],
    credential: AsyncTokenCredential,
    services: Sequence[str],
    max_token_seconds: float = MAX_TOKEN_SECONDS,
) -> None:
    """Import the modules, and get a token for each service; raises what an import raises."""
    tokens = _get_tokens(credential, services, max_token_seconds)
    imports = partial(without_collections, lambda: [import_module(module) for module in modules])
    await gather_two(asyncio.to_thread(imports), tokens)


async def _get_tokens(credential: AsyncTokenCredential, services: Sequence[str], max_seconds: float) -> None:
    with suppress(AzureError, TimeoutError):
        async with asyncio.timeout(max_seconds):
            await gather_all([credential.get_token(f"{service}/.default") for service in services])
