"""Checks the sign-in while a command runs, so that the check takes no extra time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from azure.core.exceptions import ClientAuthenticationError

from handlers import bootstrap
from handlers.gateways.errors import TransientError
from handlers.settings import Settings

T = TypeVar("T")
SCOPE = "https://storage.azure.com/.default"  # every command needs a token for storage


async def run_signed_in(settings: Settings, command: Awaitable[T]) -> T:
    """Return the command's result; fail at once without a sign-in: the storage SDK would retry for most of a minute."""
    running: asyncio.Future[T] = asyncio.ensure_future(command)
    if settings.storage:  # a key: only some commands need a sign-in
        return await running
    token: asyncio.Future[Any] = asyncio.ensure_future(bootstrap.credential().get_token(SCOPE))
    try:
        await asyncio.wait({running, token}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            await token
        return await running
    except ClientAuthenticationError as error:
        raise TransientError("Entra", "no token", "sign in") from error
    finally:
        for task in (running, token):
            task.cancel()
        await asyncio.wait({running, token})
