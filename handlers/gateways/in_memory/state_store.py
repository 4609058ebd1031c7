"""The ledger, the journal and the queue in memory, with leases that run out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from core.state.desired import DesiredState
from core.state.release import ReleaseState
from handlers.gateways.clock import Clock
from handlers.gateways.errors import STORAGE, TransientError

LEASE = 60.0


class FakeClock:
    """Time that passes when somebody sleeps, or a test says so."""

    def __init__(self) -> None:
        self.passed = 0.0

    def now(self) -> datetime:
        return datetime(2026, 11, 24, 12, 0, tzinfo=UTC) + timedelta(seconds=self.passed)

    def monotonic(self) -> float:
        return self.passed

    async def sleep(self, seconds: float) -> None:
        self.passed += seconds


@dataclass
class _Release:
    release: ReleaseState
    etag: int = 0
    holder: int = 0
    until: float = 0.0


class FakeLedger:
    """See the Ledger protocol."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.wishes: dict[str, DesiredState] = {}
        self.releases: dict[str, _Release] = {}
        self.notes: dict[str, str] = {}
        self._numbers = itertools.count(1)

    async def get_desired(self, agent: str) -> DesiredState:
        return self.wishes.get(agent, DesiredState())

    async def update_desired(self, agent: str, change: Callable[[DesiredState], DesiredState]) -> DesiredState:
        self.wishes[agent] = change(self.wishes.get(agent, DesiredState()))
        return self.wishes[agent]

    async def get_release(self, agent: str) -> ReleaseState:
        return self.releases[agent].release if agent in self.releases else ReleaseState()

    async def acquire_lease(self, agent: str) -> FakeLease | None:
        release = self.releases.setdefault(agent, _Release(ReleaseState()))
        now = self.clock.monotonic()
        if release.holder and now < release.until:
            return None
        release.holder, release.until = next(self._numbers), now + LEASE
        return FakeLease(release, release.holder, self.clock, now)

    async def read_marker(self, what: str) -> str:
        return self.notes.get(what, "")

    async def write_marker(self, what: str, value: str) -> None:
        self.notes[what] = value

    async def list_agents(self, states: frozenset[str]) -> Sequence[str]:
        return sorted(one for one in self.wishes.keys() | self.releases.keys() if self._state(one) in states)

    def _state(self, agent: str) -> str:
        desired = self.wishes.get(agent, DesiredState())
        release = self.releases[agent].release if agent in self.releases else ReleaseState()
        if desired.generation > release.observed_generation:
            return "due" if desired.not_before else "open"
        return release.blob_state


class FakeLease:
    """See the Lease protocol."""

    def __init__(self, release: _Release, number: int, clock: Clock, asked_at: float) -> None:
        self._release = release
        self._number = number
        self._clock = clock
        self._asked_at = asked_at
        self._etag = release.etag
        self.state = release.release

    @property
    def remaining_seconds(self) -> float:
        return LEASE - (self._clock.monotonic() - self._asked_at)

    async def write(self, release: ReleaseState) -> bool:
        blob = self._release
        leased = blob.holder == self._number and self._clock.monotonic() < blob.until
        if not leased or blob.etag != self._etag:
            return False
        blob.release, blob.etag = release, blob.etag + 1
        self.state, self._etag = release, blob.etag
        return True

    async def renew(self) -> bool:
        if self._release.holder != self._number or self._release.etag != self._etag:
            return False
        self._asked_at = self._clock.monotonic()
        self._release.until = self._asked_at + LEASE
        return True

    async def release(self) -> None:
        if self._release.holder == self._number:
            self._release.holder = 0


class FakeJournal:
    """See the Journal protocol."""

    def __init__(self) -> None:
        self.lines: list[Mapping[str, object]] = []
        self.down = False

    async def append(self, *lines: Mapping[str, object]) -> None:
        if self.down:
            raise TransientError(STORAGE, "no answer", "write the journal")
        self.lines.extend(lines)

    async def read_day(self, day: datetime) -> Sequence[Mapping[str, object]]:
        return [line for line in self.lines if str(line.get("at", ""))[:10] in ("", f"{day:%Y-%m-%d}")]

    def reasons(self) -> list[str]:
        return [str(line["reason"]) for line in self.lines]


class FakeQueue:
    """See the Queue protocol."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, float]] = []
        self.traces: list[str | None] = []

    async def enqueue(self, agent: str, *, delay: float = 0, traceparent: str | None = None) -> None:
        self.sent.append((agent, delay))
        self.traces.append(traceparent)

    async def count_messages(self, queue: str) -> int:
        return len(self.sent) if queue == "releases" else 0
