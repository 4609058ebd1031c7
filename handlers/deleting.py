"""Deletes planned versions, a few at a time: each is looked at once more, and nobody's sessions are ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from core.model import Agent, Version
from core.prune import Delete, Keep, look_again
from core.reasons import Reason
from core.record import Record
from core.rules import AgentRule
from core.world import PRUNED
from handlers import measures, telemetry
from handlers.acts import LOOK_IS_FRESH
from handlers.decisions import Decisions
from handlers.gateways import Deleted, GatewayError, Gateways, TransientError
from handlers.pace import LeaseLostError, Pace
from handlers.together import together

T = TypeVar("T")

WIDTH = 4
"""Versions in a batch. Two batches are under way at once: while one waits for its answers, the other is worked on."""


@dataclass
class Deleting:
    """One agent's deletions under its lease; ``done`` says what became of each version."""

    rule: AgentRule
    record: Record
    pace: Pace
    outside: Gateways
    decisions: Decisions
    done: dict[str, Reason] = field(default_factory=dict)
    _left: list[Delete] = field(default_factory=list)
    _width: int = WIDTH
    _stopped: bool = False
    _trouble: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a fault is waited out: nobody begins anything meanwhile."""

    @property
    def stayed(self) -> dict[str, Reason]:
        """The versions that could not be deleted, and why."""
        return {number: reason for number, reason in self.done.items() if reason not in PRUNED}

    async def all(self, lines: Sequence[Delete], interrupted: Callable[[], Awaitable[bool]]) -> None:
        """Delete oldest first until all are done or something else is waiting.

        A fault is waited out and slows down; raises TransientError where it stays, PermanentError, LeaseLostError.
        """
        self._left, self._width, self._stopped = list(lines), WIDTH, False
        await together(self._lane(interrupted), self._lane(interrupted))

    async def _lane(self, interrupted: Callable[[], Awaitable[bool]]) -> None:
        try:
            while self._left and not self._stopped:
                await self.pace.keep_lease()
                batch, self._left = self._left[: self._width], self._left[self._width :]
                await self._attempt(batch, interrupted)
        except (GatewayError, LeaseLostError):
            self._stopped = True  # and the other lane begins nothing more
            raise

    async def _attempt(self, batch: list[Delete], interrupted: Callable[[], Awaitable[bool]]) -> None:
        """Look and delete; what met a fault goes back to the others, and is waited out."""
        try:
            stop, looked = await self._fresh(together(interrupted(), self._look(batch)))
        except TransientError as error:
            await self._again(batch, error)
            return
        if stop and not self._stopped:
            self._stopped = True
            self.decisions.tell(Reason.PRUNE_STOPPED, "a release is waiting")
        if self._stopped:
            return
        faults = await self._batch(batch, *looked)
        if faults:
            worst = max((error for _, error in faults), key=lambda error: error.retry_after or 0.0)
            await self._again([line for line, _ in faults], worst)
            return
        self.pace.answered()
        self._width = min(WIDTH, self._width * 2)

    async def _fresh(self, look: Awaitable[T]) -> T:
        """What was seen; raises TransientError where that took so long that a person may have moved the traffic."""
        began = self.outside.clock.monotonic()
        seen = await look
        if self.outside.clock.monotonic() - began > LOOK_IS_FRESH:
            raise TransientError("Foundry", "slow", f"look at {self.rule.name} before a delete")
        return seen

    async def _look(self, batch: Sequence[Delete]) -> tuple[Agent | None, list[Version | None]]:
        foundry, name = self.outside.foundry, self.rule.name
        reads = asyncio.gather(*(foundry.version(name, line.version.number) for line in batch))
        return await together(foundry.agent(name), reads)

    async def _batch(
        self, batch: Sequence[Delete], agent: Agent | None, found: list[Version | None]
    ) -> list[tuple[Delete, TransientError]]:
        """Delete what still may go; returns what is to be tried again."""
        now, going = self.outside.clock.now(), []
        for line, version in zip(batch, found, strict=True):
            if version is None:
                self._tell(line.version.number, line.reason, "it was gone already")
                continue
            again = look_again(line, agent, version, self.record, self.rule.keep, now)
            if isinstance(again, Keep):
                self._tell(version.number, again.reason)
            else:
                going.append(again)
        return [fault for fault in await asyncio.gather(*map(self._delete, going)) if fault is not None]

    async def _delete(self, line: Delete) -> tuple[Delete, TransientError] | None:
        number = line.version.number
        try:
            with telemetry.span("prune.delete", agent=self.rule.name, version=number) as describe:
                deleted = await self.outside.foundry.delete(self.rule.name, number)
                reason = Reason.SESSIONS_ACTIVE if deleted is Deleted.SESSIONS_ACTIVE else line.reason
                describe(reason=reason.value)
        except TransientError as error:
            return line, error  # whether it took effect, the look before the next try tells
        self._tell(number, reason)
        return None

    async def _again(self, batch: list[Delete], error: TransientError) -> None:
        """Put the batch back and slow down; whoever meets a fault while one is waited out waits for the same."""
        self._left, self._width = batch + self._left, 1
        waited_out = self._trouble.locked()
        async with self._trouble:
            if not waited_out and not await self.pace.back_off(error):
                raise error

    def _tell(self, number: str, reason: Reason, detail: str = "") -> None:
        self.done[number] = reason
        measures.pruned(self.rule.name, reason)
        self.decisions.tell(reason, detail, version=number)
