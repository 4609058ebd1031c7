"""Whether this person is signed in, asked beside the question itself, so that it costs no time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from azure.core.exceptions import ClientAuthenticationError

from handlers import bootstrap
from handlers.gateways.errors import TransientError
from handlers.settings import Settings

T = TypeVar("T")
TOKEN_FOR = "https://storage.azure.com/.default"  # what every command asks for


async def signed_in(settings: Settings, question: Awaitable[T]) -> T:
    """The answer; without a sign-in at once why there is none: the storage SDK would try for most of a minute."""
    asking: asyncio.Future[T] = asyncio.ensure_future(question)
    if settings.storage:  # a key: only some commands need a sign-in
        return await asking
    signing: asyncio.Future[Any] = asyncio.ensure_future(bootstrap.signed_in().get_token(TOKEN_FOR))
    try:
        await asyncio.wait({asking, signing}, return_when=asyncio.FIRST_COMPLETED)
        if not asking.done():
            await signing
        return await asking
    except ClientAuthenticationError as error:
        raise TransientError("Entra", "no token", "sign in") from error
    finally:
        for task in (asking, signing):
            task.cancel()
        await asyncio.wait({asking, signing})
