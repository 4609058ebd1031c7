"""Takes many agents or repositories in turn, where one run of a timer cannot or should not take all of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress

from core.turns import next_in_turn
from handlers.gateways.errors import GatewayError
from handlers.gateways.interfaces import StateStore


class Turns:
    """A marker keeps the last name that was taken; where it cannot be read, a run begins with the first name."""

    def __init__(self, marker: str, names: Collection[str], state_store: StateStore) -> None:
        self._marker, self._names, self._state_store = marker, names, state_store

    async def next(self, most: int) -> list[str]:
        """The names of this run."""
        last = ""
        with suppress(GatewayError):
            last = await self._state_store.read_marker(self._marker)
        return next_in_turn(self._names, last, most)

    async def store(self, taken: Sequence[str]) -> None:
        """The next run goes on after these; raises TransientError or PermanentError."""
        if taken and len(taken) < len(self._names):
            await self._state_store.write_marker(self._marker, taken[-1])
