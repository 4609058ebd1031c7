"""Ends the sessions of probes beside the release: Foundry takes five seconds to end one (docs/reference/wire.md)."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType

from handlers.gateways.errors import GatewayError
from handlers.gateways.interfaces import Foundry


class SessionCloser:
    """Ends each session at once and waits for all of them on exit; a failure changes nothing.

    A session that stays active blocks the deletion of its version for 15 minutes, and counts towards the quota.
    """

    def __init__(self, foundry: Foundry) -> None:
        self._foundry = foundry
        self._ending = set[asyncio.Task[None]]()

    def end(self, agent: str, session: str) -> None:
        """Begin to end a session."""
        task = asyncio.ensure_future(self._end(agent, session))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _end(self, agent: str, session: str) -> None:
        with suppress(GatewayError):  # it ends by itself; until then a delete of its version answers 409
            await self._foundry.end_session(agent, session)

    async def wait(self) -> None:
        """Wait until every session has ended."""
        if self._ending:
            await asyncio.shield(asyncio.wait(self._ending))

    async def __aenter__(self) -> SessionCloser:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.wait()
