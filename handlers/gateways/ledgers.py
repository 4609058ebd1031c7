"""The ledger in our words: what is wanted, how far a release is, and the lease on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from core.state.release import Record, Wanted


class Lease(Protocol):
    """The right to be the one writer of an agent's release, and the record that it protects."""

    @property
    def record(self) -> Record:
        """The record as last read or written under this lease."""

    @property
    def remaining(self) -> float:
        """Seconds that the lease surely lasts, by the local clock, counted from before its last renewal was sent."""

    async def write(self, record: Record) -> bool:
        """Store the record; False when the lease was lost, after which the holder must stop for good.

        Raises TransientError where storage itself does not answer.
        """

    async def renew(self) -> bool:
        """Extend the lease to 60 s; False when it was lost."""

    async def give_back(self) -> None:
        """Let the next one in; never raises, since a lease ends by itself."""


class Ledger(Protocol):
    """The two records per agent. Every method raises TransientError or PermanentError."""

    async def wanted(self, agent: str) -> Wanted:
        """What the agent should run; an empty one where nothing was ever noted."""

    async def note(self, agent: str, change: Callable[[Wanted], Wanted]) -> Wanted:
        """Apply a change by compare-and-swap, as often as others come between; an equal result is not written."""

    async def record(self, agent: str) -> Record:
        """How far the release is, read without the lease."""

    async def lease(self, agent: str) -> Lease | None:
        """Become the one writer for 60 s, or None while somebody else is."""

    async def remembered(self, what: str) -> str:
        """What was last remembered under the name; empty where nothing was."""

    async def remember(self, what: str, value: str) -> None:
        """Keep a short text under a name."""

    async def agents(self, states: frozenset[str]) -> Sequence[str]:
        """Names of the agents either of whose records says one of the states (open, due, ended), by one listing."""
