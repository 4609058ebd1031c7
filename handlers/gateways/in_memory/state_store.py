"""The state store in memory, with leases that run out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from core.state.desired import DesiredState
from core.state.release import ReleaseState
from core.state.summary import DesiredSummary, summarise
from handlers.gateways.clock import Clock

LEASE_SECONDS = 60.0
FREE = 0


@dataclass
class ReleaseRecord:
    """The release state of an agent as a blob holds it: with an ETag and a lease."""

    state: ReleaseState
    etag: int = 0
    lease_id: int = FREE
    lease_ends: float = 0.0


class InMemoryStateStore:
    """See the StateStore protocol."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.desired: dict[str, DesiredState] = {}
        self.releases: dict[str, ReleaseRecord] = {}
        self.markers: dict[str, str] = {}
        self.locks: dict[str, float] = {}
        """Name -> when the lock expires."""
        self._lease_ids = itertools.count(FREE + 1)

    async def load(self, agent: str) -> None:
        """Called before an agent's states are used; a subclass may read them from elsewhere first."""

    async def get_desired(self, agent: str) -> DesiredState:
        await self.load(agent)
        return self.desired.get(agent, DesiredState())

    async def update_desired(self, agent: str, change: Callable[[DesiredState], DesiredState]) -> DesiredState:
        await self.load(agent)
        self.desired[agent] = change(self.desired.get(agent, DesiredState()))
        return self.desired[agent]

    async def get_release(self, agent: str) -> ReleaseState:
        await self.load(agent)
        return self._release(agent)

    async def acquire_lease(self, agent: str) -> InMemoryLease | None:
        await self.load(agent)
        record, now = self.releases.setdefault(agent, ReleaseRecord(ReleaseState())), self.clock.monotonic()
        if record.lease_id != FREE and now < record.lease_ends:
            return None
        record.lease_id, record.lease_ends = next(self._lease_ids), now + LEASE_SECONDS
        return InMemoryLease(record, self.clock, now)

    async def read_marker(self, name: str) -> str:
        return self.markers.get(name, "")

    async def write_marker(self, name: str, value: str) -> None:
        self.markers[name] = value

    async def lock(self, name: str) -> InMemoryLock | None:
        now = self.clock.monotonic()
        if now < self.locks.get(name, now):
            return None
        self.locks[name] = now + LEASE_SECONDS
        return InMemoryLock(self.locks, name)

    async def list_agents(self, *, unfinished: bool = False) -> Sequence[str]:
        agents = self.desired.keys() | self.releases.keys()
        return sorted(agent for agent in agents if not unfinished or self._is_unfinished(agent))

    async def list_desired(self) -> Mapping[str, DesiredSummary]:
        agents = self.desired.keys() | self.releases.keys()
        return {agent: summarise(self.desired.get(agent, DesiredState())) for agent in agents}

    def _release(self, agent: str) -> ReleaseState:
        return self.releases[agent].state if agent in self.releases else ReleaseState()

    def _is_unfinished(self, agent: str) -> bool:
        desired, release = self.desired.get(agent, DesiredState()), self._release(agent)
        is_open = desired.generation > release.observed_generation or release.blob_state == "open"
        starts = release.secret_due is not None and release.secret_due <= self.clock.now()
        return is_open or starts or bool(desired.waiting)


@dataclass(frozen=True)
class InMemoryLock:
    """See the Lock protocol."""

    locks: dict[str, float]
    name: str

    async def release(self) -> None:
        self.locks.pop(self.name, None)


class InMemoryLease:
    """See the Lease protocol."""

    def __init__(self, record: ReleaseRecord, clock: Clock, acquired_at: float) -> None:
        self._record = record
        self._clock = clock
        self._renewed_at = acquired_at
        self._id, self._etag = record.lease_id, record.etag
        self.state = record.state

    @property
    def remaining_seconds(self) -> float:
        return LEASE_SECONDS - (self._clock.monotonic() - self._renewed_at)

    async def write(self, release: ReleaseState) -> bool:
        record = self._record
        is_leased = record.lease_id == self._id and self._clock.monotonic() < record.lease_ends
        if not is_leased or record.etag != self._etag:
            return False
        record.state, record.etag = release, record.etag + 1
        self.state, self._etag = release, record.etag
        return True

    async def renew(self) -> bool:
        if self._record.lease_id != self._id or self._record.etag != self._etag:
            return False
        self._renewed_at = self._clock.monotonic()
        self._record.lease_ends = self._renewed_at + LEASE_SECONDS
        return True

    async def release(self) -> None:
        if self._record.lease_id == self._id:
            self._record.lease_id = FREE
