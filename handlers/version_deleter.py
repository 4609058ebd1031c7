"""Deletes planned versions, several at a time; reads each once more before, and never ends sessions."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from core.agents_file.spec import AgentSpec
from core.model import Agent
from core.prune.retention import PRUNED, Delete, Keep, recheck
from core.reasons import Reason
from core.state.release import ReleaseState
from core.timing import MAX_READ_AGE
from handlers.concurrency import gather_all, gather_two
from handlers.gateways.errors import GatewayError, TransientError
from handlers.gateways.interfaces import DeleteResult, Gateways
from handlers.lease_keeper import LeaseKeeper, LeaseLostError
from handlers.telemetry import metrics, otel
from handlers.telemetry.decision_log import DecisionLog

MAX_CONCURRENT = 8
"""Versions at a time; none waits for the answer about another."""
MAX_SHARES, MAX_SHARE_SECONDS = 4, 0.2
"""How many versions share one read of the agent, and how long after its start a version may join."""


@dataclass(frozen=True, slots=True)
class AgentSnapshot:
    """One read of the agent for several versions; ``read_at`` is the monotonic time before it."""

    read_at: float
    interrupted: bool
    agent: Agent | None


async def _never_interrupted() -> bool:
    """A release prunes for itself: a newer change supersedes it afterwards."""
    return False


@dataclass
class VersionDeleter:
    """The deletions of one agent under its lease; ``results`` has the reason for each version that is done."""

    spec: AgentSpec
    release: ReleaseState
    lease_keeper: LeaseKeeper
    gateways: Gateways
    decisions: DecisionLog
    is_interrupted: Callable[[], Awaitable[bool]] = _never_interrupted
    """True when a release waits for the lease."""
    results: dict[str, Reason] = field(default_factory=dict)
    _waiting: deque[Delete] = field(default_factory=deque)
    _stopped: bool = False
    _snapshot: asyncio.Future[AgentSnapshot] | None = None
    _snapshot_at: float = 0.0
    _shares: int = 0

    @property
    def not_deleted(self) -> dict[str, Reason]:
        """The versions that could not be deleted, and why."""
        return {number: reason for number, reason in self.results.items() if reason not in PRUNED}

    async def delete_all(self, deletions: Sequence[Delete]) -> None:
        """Delete oldest first until all are done, or a release waits.

        Waits transient faults out, and goes slower after one. Raises TransientError where it lasts, PermanentError and
        LeaseLostError.
        """
        self._waiting, self._stopped, lanes = deque(deletions), False, MAX_CONCURRENT
        while self._waiting and not self._stopped:
            faults = await self._run_lanes(lanes)
            if faults:
                worst = max(faults, key=lambda error: error.retry_after or 0.0)
                if not await self.lease_keeper.back_off(worst):
                    raise worst
            else:
                self.lease_keeper.reset_faults()
            lanes = 1 if faults else min(MAX_CONCURRENT, lanes * 2)

    async def _run_lanes(self, lanes: int) -> list[TransientError]:
        """Delete all that waits, or after a fault one version a lane; returns the faults that ended it."""
        faults = list[TransientError]()
        self._snapshot = None

        async def run_lane() -> None:
            while self._waiting and not faults and not self._stopped:
                deletion = self._waiting.popleft()
                try:
                    await self._recheck_and_delete(deletion)
                except TransientError as error:
                    self._waiting.appendleft(deletion)
                    faults.append(error)
                except (GatewayError, LeaseLostError):
                    self._stopped = True  # the other lanes start nothing more
                    raise
                if lanes < MAX_CONCURRENT:
                    return

        await gather_all(run_lane() for _ in range(lanes))
        return faults

    async def _recheck_and_delete(self, deletion: Delete) -> None:
        name, number, clock = self.spec.name, deletion.version.number, self.gateways.clock
        snapshot, version = await gather_two(self._shared_snapshot(), self.gateways.foundry.get_version(name, number))
        if clock.monotonic() - snapshot.read_at > MAX_READ_AGE.total_seconds():  # a user may have moved the traffic
            raise TransientError("Foundry", "slow", f"read {name} before a delete")
        if snapshot.interrupted and not self._stopped:
            self._stopped = True
            self.decisions.record(Reason.PRUNE_STOPPED, "a release is waiting")
        if self._stopped:
            return
        if version is None:
            self._record(number, deletion.reason, "it was gone already")
            return
        decision = recheck(deletion, snapshot.agent, version, self.release, self.spec.keep, clock.now())
        if isinstance(decision, Keep):
            self._record(number, decision.reason)
        else:
            await self._delete(decision)

    def _shared_snapshot(self) -> Awaitable[AgentSnapshot]:
        """One read of the agent for a few versions that are read at the same time."""
        now = self.gateways.clock.monotonic()
        if self._snapshot is None or self._shares >= MAX_SHARES or now - self._snapshot_at > MAX_SHARE_SECONDS:
            self._snapshot, self._snapshot_at, self._shares = asyncio.ensure_future(self._take_snapshot()), now, 0
        self._shares += 1
        return self._snapshot

    async def _take_snapshot(self) -> AgentSnapshot:
        await self.lease_keeper.keep()
        read_at = self.gateways.clock.monotonic()
        interrupted, agent = await gather_two(self.is_interrupted(), self.gateways.foundry.get_agent(self.spec.name))
        return AgentSnapshot(read_at, interrupted, agent)

    async def _delete(self, deletion: Delete) -> None:
        """Raises TransientError where it may have taken effect: the read before the next attempt shows that."""
        number = deletion.version.number
        with otel.span("prune.delete", agent=self.spec.name, version=number) as set_attributes:
            result = await self.gateways.foundry.delete_version(self.spec.name, number)
            reason = Reason.SESSIONS_ACTIVE if result is DeleteResult.SESSIONS_ACTIVE else deletion.reason
            set_attributes(reason=reason.value)
        self._record(number, reason)

    def _record(self, number: str, reason: Reason, detail: str = "") -> None:
        self.results[number] = reason
        metrics.version_pruned(self.spec.name, reason)
        self.decisions.record(reason, detail, version=number)
