"""The ledger of a simulation: chance meets its leases too, and what was wanted is remembered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.state.desired import DesiredState
from core.state.release import ReleaseState
from handlers.gateways.in_memory.state_store import InMemoryStateStore
from tests.simulation.faults import Dice, Faulty, Tell
from tests.simulation.safety_invariants import Watch
from tests.simulation.scene import AGENT


class FaultyLedger(Faulty):
    """A ledger whose leases meet chance too."""

    def __init__(self, ledger: InMemoryStateStore, dice: Dice, tell: Tell | None, watch: Watch) -> None:
        super().__init__(ledger, "storage", dice, tell)
        self._ledger = ledger
        self._watch = watch
        self._asks = self._call(ledger.acquire_lease)
        self._notes = self._call(self._swap)

    async def acquire_lease(self, agent: str) -> Any:
        taken = await self._asks(agent)
        return None if taken is None else WatchedLease(taken, self._dice, self._tell, self._watch)

    async def update_desired(self, agent: str, change: Callable[[DesiredState], DesiredState]) -> DesiredState:
        """Compare and swap, also where the write comes late."""
        while True:
            before = await self._ledger.get_desired(agent)
            after = change(before)
            if await self._notes(before, after):
                return after

    async def _swap(self, before: DesiredState, after: DesiredState) -> bool:
        if self._watch.wanted != before:
            return False
        await self._ledger.update_desired(AGENT, lambda _: after)
        if after != before:
            self._watch.words.append((self._watch.now, after))
        return True


class WatchedLease(Faulty):
    """A lease whose every write is looked at."""

    def __init__(self, lease: Any, dice: Dice, tell: Tell | None, watch: Watch) -> None:
        super().__init__(lease, "lease", dice, tell)
        self._service = "storage"
        self._watch = watch
        self._writes = self._call(lease.write)

    @property
    def state(self) -> ReleaseState:
        release: ReleaseState = self._target.state  # type: ignore[attr-defined]
        return release

    @property
    def remaining_seconds(self) -> float:
        seconds: float = self._target.remaining_seconds  # type: ignore[attr-defined]
        return seconds

    async def write(self, release: ReleaseState) -> bool:
        before, watch = self.state, self._watch
        good = release.last_good if release.last_good != before.last_good and watch.rule.release.check else None
        if good and good.version not in (watch.foundry.checked | watch.deleted.keys()):
            watch.broken(f"version {good.version} is called good, and never answered with traffic")
        wrote: bool = await self._writes(release)
        return wrote
