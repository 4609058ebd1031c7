"""Writes to Foundry: save the intent, read once more, send once, return the receipt."""

from __future__ import annotations

from dataclasses import dataclass, replace

from core.agents_file.spec import AgentSpec
from core.definition import ResolvedDefinition, metadata
from core.model import Agent, Routing, Version
from core.release import transitions
from core.release.actions import Create, DeleteDuplicate, MoveTraffic, Pin, RollBack
from core.release.inputs import DecisionInput
from core.state.desired import DesiredState
from core.state.release import ReleaseState, WriteKind
from core.timing import MAX_READ_AGE, MAX_WRITE_SECONDS
from handlers.concurrency import gather_two
from handlers.gateways.errors import GatewayError, TransientError
from handlers.gateways.interfaces import Gateways, Lease
from handlers.lease_keeper import LeaseLostError
from handlers.release_agent.observe import Observer

KINDS: dict[type, WriteKind] = {Pin: WriteKind.PIN, MoveTraffic: WriteKind.MOVE_TRAFFIC, RollBack: WriteKind.ROLL_BACK}


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What is known after a write: with ``error`` unclear, ``state`` still has the pending write."""

    state: ReleaseState
    sent: bool = False
    superseded: bool = False
    """Something newer is desired: nothing was sent."""
    created: Version | None = None
    """The version as the create answered."""
    agent: Agent | None = None
    """The agent as it is after a write that was sent; None where it is to be read again."""
    error: GatewayError | None = None


class FoundryWriter:
    """The writes of one lease holder. Every method may raise LeaseLostError, TransientError or PermanentError."""

    def __init__(self, spec: AgentSpec, lease: Lease, gateways: Gateways, observer: Observer) -> None:
        self._agent, self._observer = spec.name, observer
        self._lease = lease
        self._has_written = False
        self._foundry = gateways.foundry
        self._clock = gateways.clock

    async def create(self, inputs: DecisionInput, action: Create) -> WriteResult:
        """Create a version; nothing is sent where the routing or the desired state is no longer as decided on."""
        state, definition = inputs.release, inputs.observed.release_definition
        if state.push is None or not isinstance(definition, ResolvedDefinition):  # pragma: no cover
            raise ValueError("a create is decided on a push and a definition")
        pairs = metadata(state.push, definition, action.live_version, state.create_count + 1)
        intent = transitions.writing(state, WriteKind.CREATE, self._clock.now(), highest_version=action.highest_version)
        last_read = await self._save_intent(state, intent, action.routing_seen, inputs.desired)
        if not last_read.sent:
            return last_read
        try:
            version = await self._foundry.create_version(self._agent, definition.definition, pairs)
        except GatewayError as error:
            return _failed(error, state, intent)
        receipt = transitions.has_candidate(intent, version, highest_version=action.highest_version)
        agent = replace(last_read.agent, latest=version) if last_read.agent else None
        return WriteResult(receipt, sent=True, created=version, agent=agent)

    async def delete_duplicate(self, inputs: DecisionInput, action: DeleteDuplicate) -> WriteResult:
        """Delete the failed duplicate; one with sessions stays, and counts as deleted: nobody's sessions are ended."""
        state, version = inputs.release, inputs.version(action.version)
        if version is None:  # pragma: no cover
            raise ValueError("a delete is decided on a version")
        intent = transitions.deleting_duplicate(state, version, self._clock.now())
        last_read = await self._save_intent(state, intent, action.routing_seen)
        if not last_read.sent:
            return last_read
        try:
            await self._foundry.delete_version(self._agent, action.version)
        except GatewayError as error:
            return _failed(error, state, intent)
        return WriteResult(transitions.candidate_deleted(intent), sent=True)

    async def set_routing(self, state: ReleaseState, action: Pin | MoveTraffic | RollBack) -> WriteResult:
        """Change the routing; nothing is sent where it is no longer as decided on."""
        routing = action.to if isinstance(action, RollBack) else Routing.to(action.version)
        kind = KINDS[type(action)]
        intent = transitions.writing(state, kind, self._clock.now(), routing=routing)
        last_read = await self._save_intent(state, intent, action.routing_seen)
        if not last_read.sent:
            return last_read
        try:
            answered = await self._foundry.set_routing(self._agent, routing)
        except GatewayError as error:
            return _failed(error, state, intent)
        agent = replace(last_read.agent, routing=routing) if last_read.agent and answered == routing else None
        return WriteResult(transitions.routed(intent, routing, kind, self._clock.now()), sent=True, agent=agent)

    async def _save_intent(
        self,
        state: ReleaseState,
        intent: ReleaseState,
        routing_seen: Routing | None,
        decided_on: DesiredState | None = None,
    ) -> WriteResult:
        """Save the intent beside the last read; ``sent`` is False where nothing may be sent."""
        read_at = self._clock.monotonic()
        reads = gather_two(self._foundry.get_agent(self._agent), self._desired(decided_on))
        saved, (agent, desired) = await gather_two(self._lease.write(intent), reads)
        if not saved:
            raise LeaseLostError
        fresh = self._clock.monotonic() - read_at <= MAX_READ_AGE.total_seconds()
        in_time = fresh and self._lease.remaining_seconds > MAX_WRITE_SECONDS
        same_routing = (agent.routing if agent else None) == routing_seen
        superseded = desired != decided_on
        may_send = in_time and same_routing and not superseded
        self._has_written = self._has_written or may_send
        return WriteResult(intent if may_send else state, may_send, superseded, agent=agent if may_send else None)

    async def _desired(self, decided_on: DesiredState | None) -> DesiredState | None:
        """The desired state now; before the first write, and where it cannot be read, that of a moment ago counts.

        The intent is saved by then: an error here would make the next holder wait for a write that was never sent.
        """
        if decided_on is None:
            return None
        try:
            return await self._observer.desired(None if self._has_written else decided_on)
        except GatewayError:
            return decided_on


def _failed(error: GatewayError, before: ReleaseState, intent: ReleaseState) -> WriteResult:
    """A write that may have been applied stays pending; one that surely was not is forgotten."""
    unclear = isinstance(error, TransientError) and error.unclear
    return WriteResult(intent if unclear else before, error=error)
