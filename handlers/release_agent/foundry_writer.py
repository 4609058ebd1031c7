"""What is done to Foundry: note the intent, look once more, act, note the receipt."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from core.definition import ResolvedDefinition, metadata
from core.model import Routing, Status, Version
from core.release import transitions
from core.release.actions import Create, DeleteDuplicate, MoveTraffic, Pin, RollBack
from core.release.gates.confirm import mismatch
from core.release.inputs import Observed
from core.state.desired import DesiredState
from core.state.release import ReleaseState, WriteKind
from core.timing import MAX_READ_AGE_SECONDS, MAX_WRITE_SECONDS
from handlers.concurrency import gather_two
from handlers.gateways.clock import Clock
from handlers.gateways.errors import GatewayError, TransientError
from handlers.gateways.interfaces import Foundry, Lease, StateStore
from handlers.lease_keeper import LeaseLostError

T = TypeVar("T")

ACTS: dict[type, WriteKind] = {Pin: WriteKind.PIN, MoveTraffic: WriteKind.MOVE_TRAFFIC, RollBack: WriteKind.ROLL_BACK}


class FoundryWriter:
    """The hands of the release loop for one agent; ``record`` is the truth as far as this holder knows it."""

    def __init__(self, agent: str, lease: Lease, foundry: Foundry, ledger: StateStore, clock: Clock) -> None:
        self.record: ReleaseState = lease.state
        self.overtaken = False
        """By the time of the last look something else was wanted."""
        self._owed = False
        self._agent = agent
        self._lease = lease
        self._foundry = foundry
        self._ledger = ledger
        self._clock = clock

    async def save(self) -> None:
        """Write the record where it differs from what is stored."""
        self._owed = False
        if self.record != self._lease.state and not await self._lease.write(self.record):
            raise LeaseLostError

    async def write_receipt(self) -> None:
        """Write what the last act brought, where that is not written yet: it goes beside the next reads."""
        if self._owed:
            await self.save()

    async def create(self, step: Create, facts: Observed, considered: DesiredState) -> bool:
        """Ask for a version once; False when the routing, or what is wanted, was no longer what the decision saw."""
        push, release, resolved = self.record.push, self.record, facts.release_definition
        if push is None or not isinstance(resolved, ResolvedDefinition):
            raise ValueError("a create is decided on a push and a definition")
        pairs = metadata(push, resolved, step.live_version, release.create_count + 1)
        intent = transitions.writing(release, WriteKind.CREATE, self._clock.now(), highest=step.highest_version)
        made = await self._once(
            intent,
            step.routing_seen,
            lambda: self._foundry.create_version(self._agent, resolved.definition, pairs),
            considered,
        )
        if made is not None:
            self.record, self._owed = transitions.has_candidate(self.record, made, highest=step.highest_version), True
        return made is not None

    async def route(self, step: Pin | MoveTraffic | RollBack) -> bool:
        """Move the selector; False when it was no longer what the decision saw."""
        if isinstance(step, RollBack):
            to, self.record = step.to, step.state
        else:
            to = Routing.to(step.version)
        act = ACTS[type(step)]
        intent = transitions.writing(self.record, act, self._clock.now(), to=to)
        told = await self._once(intent, step.routing_seen, lambda: self._foundry.set_routing(self._agent, to))
        if told is not None:
            self.record = transitions.routed(self.record, to, act, self._clock.now())
            self._owed = True
        return told is not None

    async def clear_twin(self, step: DeleteDuplicate) -> None:
        """Delete a failed version; one with sessions on it stays, and counts as cleared all the same."""
        await self._foundry.delete_version(self._agent, step.version)
        self.record = transitions.duplicate_deleted(self.record)
        await self.save()

    def confirm(self, version: Version | None) -> str | None:
        """Note the candidate as confirmed, where it is active twice; returns how it differs from what was meant."""
        if version is None or version.status is not Status.ACTIVE:
            return None
        wrong = mismatch(self.record, version)
        if wrong is None:
            self.record = transitions.confirmed(self.record)
        return wrong

    async def _once(
        self,
        intent: ReleaseState,
        seen: Routing | None,
        send: Callable[[], Awaitable[T]],
        considered: DesiredState | None = None,
    ) -> T | None:
        """Send once, or not at all; whatever is clear about the outcome is in ``record`` afterwards."""
        if not await self._intend(intent, seen, considered):
            return None
        before, self.record = self.record, intent
        try:
            return await send()
        except GatewayError as error:
            if not (isinstance(error, TransientError) and error.unclear):
                self.record = before  # what may have landed stays noted: whoever comes next looks first
            raise

    async def _intend(self, intent: ReleaseState, seen: Routing | None, considered: DesiredState | None) -> bool:
        """Store the intent beside the last look; True when the act may be sent."""
        looked_at = self._clock.monotonic()
        looks = gather_two(self._foundry.get_agent(self._agent), self._wanted(considered))
        wrote, (agent, desired) = await gather_two(self._lease.write(intent), looks)
        if not wrote:
            raise LeaseLostError
        self.overtaken = desired != considered
        fresh = (
            self._clock.monotonic() - looked_at <= MAX_READ_AGE_SECONDS
            and self._lease.remaining_seconds > MAX_WRITE_SECONDS
        )
        return fresh and not self.overtaken and (agent.routing if agent else None) == seen

    async def _wanted(self, considered: DesiredState | None) -> DesiredState | None:
        """What is wanted now, where the act was decided on that; unreadable, it is what was read a moment ago."""
        if considered is None:
            return None
        try:
            return await self._ledger.get_desired(self._agent)
        except GatewayError:
            return considered  # the intent is written by now: who raised would have the follower wait for SETTLE
