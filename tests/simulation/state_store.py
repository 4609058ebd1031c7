"""The state store of a simulation: its leases meet faults too, and the oracle learns every desired state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.state.desired import DesiredState
from core.state.release import ReleaseState
from handlers.gateways.in_memory.state_store import InMemoryStateStore
from tests.simulation.faults import Dice, FaultyGateway, Log
from tests.simulation.safety_invariants import Oracle, check_rollback_goes_first, check_rollback_version_is_found


class FaultyStateStore(FaultyGateway):
    """A state store whose calls and leases may meet a fault."""

    def __init__(self, state_store: InMemoryStateStore, dice: Dice, log: Log | None) -> None:
        super().__init__(state_store, "storage", dice, log)
        self._state_store = state_store
        self._acquire = self._call(state_store.acquire_lease)
        self._swap_or_fail = self._call(self._swap)

    async def acquire_lease(self, agent: str) -> Any:
        lease = await self._acquire(agent)
        return None if lease is None else FaultyLease(lease, self._dice, self._log)

    async def update_desired(self, agent: str, change: Callable[[DesiredState], DesiredState]) -> DesiredState:
        """Compare and swap, also where the write is late."""
        while True:
            before = await self._state_store.get_desired(agent)
            after = change(before)
            if await self._swap_or_fail(agent, before, after):
                return after

    async def _swap(self, agent: str, before: DesiredState, after: DesiredState) -> bool:
        if await self._state_store.get_desired(agent) != before:
            return False
        await self._state_store.update_desired(agent, lambda _: after)
        if after != before:
            self.after_swap(before, after)
        return True

    def after_swap(self, before: DesiredState, after: DesiredState) -> None:
        """Called once a desired state has changed."""


class FaultyLease(FaultyGateway):
    """A lease whose calls may meet a fault."""

    def __init__(self, lease: Any, dice: Dice, log: Log | None) -> None:
        super().__init__(lease, "storage", dice, log)
        self._write_or_fail = self._call(lease.write)

    @property
    def state(self) -> ReleaseState:
        state: ReleaseState = self._target.state  # type: ignore[attr-defined]
        return state

    @property
    def remaining_seconds(self) -> float:
        seconds: float = self._target.remaining_seconds  # type: ignore[attr-defined]
        return seconds

    async def write(self, release: ReleaseState) -> bool:
        is_written: bool = await self._write_or_fail(release)
        return is_written


class CheckedStateStore(FaultyStateStore):
    """The state store of one agent, which the oracle watches."""

    def __init__(self, state_store: InMemoryStateStore, dice: Dice, log: Log | None, oracle: Oracle) -> None:
        super().__init__(state_store, dice, log)
        self._oracle = oracle

    async def acquire_lease(self, agent: str) -> Any:
        lease = await self._acquire(agent)
        return None if lease is None else CheckedLease(lease, self._dice, self._log, self._oracle)

    def after_swap(self, before: DesiredState, after: DesiredState) -> None:
        self._oracle.note_desired(before, after)


class CheckedLease(FaultyLease):
    """A lease whose every write is checked."""

    def __init__(self, lease: Any, dice: Dice, log: Log | None, oracle: Oracle) -> None:
        super().__init__(lease, dice, log)
        self._oracle = oracle

    async def write(self, release: ReleaseState) -> bool:
        before, oracle = self.state, self._oracle
        good = release.last_good if release.last_good != before.last_good and oracle.spec.release.check else None
        if good and good.version not in (oracle.foundry.checked | oracle.deleted_at.keys()):
            oracle.fail(f"version {good.version} is recorded as good, but never gave the expected answer with traffic")
        check_rollback_version_is_found(oracle, before, release)
        check_rollback_goes_first(oracle, before, release)
        if release.reason == "AGENT_DELETED" and before.reason != "AGENT_DELETED":
            oracle.deletion_ended_release = before.is_open
            if not oracle.agent_was_deleted:
                oracle.fail("the agent counts as deleted, though nobody deleted it")
        return await super().write(release)
