"""Deletes planned versions, some at once: each is looked at once more, and nobody's sessions are ended."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from core.agents_file.spec import AgentSpec
from core.model import Agent
from core.prune.retention import Delete, Keep, recheck
from core.reasons import Reason
from core.release.inputs import PRUNED
from core.state.release import ReleaseState
from core.timing import MAX_READ_AGE
from handlers.concurrency import gather_all, gather_two
from handlers.gateways.errors import GatewayError, TransientError
from handlers.gateways.interfaces import DeleteResult, Gateways
from handlers.lease_keeper import LeaseKeeper, LeaseLostError
from handlers.telemetry import metrics, otel
from handlers.telemetry.decision_log import DecisionLog

AT_ONCE = 8
"""Versions under way at once, each by itself: none waits for what is answered about another."""
SHARED, NEAR = 4, 0.2
"""Versions that one look at the agent and its traffic is for, and the seconds within which their own looks begin."""

Interrupted = Callable[[], Awaitable[bool]]
"""Whether a release waits for the lease that the deletions are under."""


@dataclass(frozen=True, slots=True)
class AgentSnapshot:
    """What is true of the agent, whichever version is looked at."""

    began: float
    """When it was asked, by the clock that nobody sets."""
    interrupted: bool
    agent: Agent | None


@dataclass
class VersionDeleter:
    """One agent's deletions under its lease; ``done`` says what became of each version."""

    spec: AgentSpec
    release: ReleaseState
    lease_keeper: LeaseKeeper
    gateways: Gateways
    decisions: DecisionLog
    interrupted: Interrupted
    results: dict[str, Reason] = field(default_factory=dict)
    _left: deque[Delete] = field(default_factory=deque)
    _stopped: bool = False
    _around: asyncio.Future[AgentSnapshot] | None = None
    _asked: float = 0.0
    _shared_by: int = 0

    @property
    def not_deleted(self) -> dict[str, Reason]:
        """The versions that could not be deleted, and why."""
        return {number: reason for number, reason in self.results.items() if reason not in PRUNED}

    async def delete_all(self, lines: Sequence[Delete]) -> None:
        """Delete oldest first until all are done or something else is waiting.

        A fault is waited out and slows down; raises TransientError where it stays, PermanentError, LeaseLostError.
        """
        self._left, self._stopped, width = deque(lines), False, AT_ONCE
        while self._left and not self._stopped:
            faults = await self._some(width)
            if faults:
                worst = max(faults, key=lambda error: error.retry_after or 0.0)
                if not await self.lease_keeper.back_off(worst):
                    raise worst
            else:
                self.lease_keeper.fault_over()
            width = 1 if faults else min(AT_ONCE, width * 2)

    async def _some(self, width: int) -> list[TransientError]:
        """Everything that is left, or after a fault one version in each of a few lanes; returns what ended it early."""
        faults = list[TransientError]()
        self._around = None

        async def lane() -> None:
            while self._left and not faults and not self._stopped:
                line = self._left.popleft()
                try:
                    await self._one(line)
                except TransientError as error:
                    self._left.appendleft(line)
                    faults.append(error)
                except (GatewayError, LeaseLostError):
                    self._stopped = True  # and no other lane begins anything more
                    raise
                if width < AT_ONCE:
                    return

        await gather_all(lane() for _ in range(width))
        return faults

    async def _one(self, line: Delete) -> None:
        """Look, and delete what still may go."""
        number = line.version.number
        around, version = await gather_two(
            self._look_around(), self.gateways.foundry.get_version(self.spec.name, number)
        )
        if (
            self.gateways.clock.monotonic() - around.began > MAX_READ_AGE.total_seconds()
        ):  # a person may have moved the traffic
            raise TransientError("Foundry", "slow", f"look at {self.spec.name} before a delete")
        if around.interrupted and not self._stopped:
            self._stopped = True
            self.decisions.record(Reason.PRUNE_STOPPED, "a release is waiting")
        if self._stopped:
            return
        if version is None:
            self._tell(number, line.reason, "it was gone already")
            return
        again = recheck(line, around.agent, version, self.release, self.spec.keep, self.gateways.clock.now())
        if isinstance(again, Keep):
            self._tell(number, again.reason)
        else:
            await self._delete(again)

    def _look_around(self) -> Awaitable[AgentSnapshot]:
        """One look for a few versions whose own looks begin with it."""
        now = self.gateways.clock.monotonic()
        if self._around is None or self._shared_by >= SHARED or now - self._asked > NEAR:
            self._around, self._asked, self._shared_by = asyncio.ensure_future(self._seen()), now, 0
        self._shared_by += 1
        return self._around

    async def _seen(self) -> AgentSnapshot:
        await self.lease_keeper.keep()
        began = self.gateways.clock.monotonic()
        stop, agent = await gather_two(self.interrupted(), self.gateways.foundry.get_agent(self.spec.name))
        return AgentSnapshot(began, stop, agent)

    async def _delete(self, line: Delete) -> None:
        """Raises TransientError where it may or may not have taken effect: the look before the next try tells."""
        number = line.version.number
        with otel.span("prune.delete", agent=self.spec.name, version=number) as describe:
            deleted = await self.gateways.foundry.delete_version(self.spec.name, number)
            reason = Reason.SESSIONS_ACTIVE if deleted is DeleteResult.SESSIONS_ACTIVE else line.reason
            describe(reason=reason.value)
        self._tell(number, reason)

    def _tell(self, number: str, reason: Reason, detail: str = "") -> None:
        self.results[number] = reason
        metrics.version_pruned(self.spec.name, reason)
        self.decisions.record(reason, detail, version=number)
