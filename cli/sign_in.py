"""Signs in while a command runs: a missing sign-in ends the command at once, and the token says who runs it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from azure.core.exceptions import ClientAuthenticationError

from cli.author import NO_TOKEN, identity_of
from handlers import bootstrap
from handlers.gateways.errors import TransientError
from handlers.settings import Settings

T = TypeVar("T")
SCOPE = "https://storage.azure.com/.default"  # every command needs a token for storage


class SignIn:
    """The token of one command, requested once."""

    def __init__(self, settings: Settings) -> None:
        self._has_key = bool(settings.storage)
        self._token: asyncio.Future[Any] | None = None

    async def run(self, command: Awaitable[T]) -> T:
        """Return the result; fail at once without a sign-in: the storage SDK would retry for most of a minute."""
        running: asyncio.Future[T] = asyncio.ensure_future(command)
        if self._has_key:  # only some commands need a sign-in
            return await running
        token = self._request()
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

    async def identity(self) -> str:
        """Return who the platform says runs the command."""
        if self._has_key:
            return NO_TOKEN
        return identity_of((await asyncio.shield(self._request())).token)

    def _request(self) -> asyncio.Future[Any]:
        if self._token is None:
            self._token = asyncio.ensure_future(bootstrap.credential().get_token(SCOPE))
        return self._token
