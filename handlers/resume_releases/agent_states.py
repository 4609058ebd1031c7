"""The states of the agents as one run of the timer reads them: each once, whichever steps need them."""

from __future__ import annotations

from typing import NamedTuple

from core.state.desired import DesiredState
from core.state.release import ReleaseState
from handlers.concurrency import gather_two
from handlers.gateways.errors import GatewayError
from handlers.gateways.interfaces import StateStore


class AgentState(NamedTuple):
    """What an agent should run, and how far its release is."""

    desired: DesiredState
    release: ReleaseState


class AgentStates:
    """Reads a state at its first use; a step that changes one forgets it."""

    def __init__(self, state_store: StateStore) -> None:
        self._state_store = state_store
        self._read: dict[str, AgentState | GatewayError] = {}

    async def get(self, agent: str) -> AgentState:
        """The state; raises TransientError or PermanentError, the same in the whole run."""
        if agent not in self._read:
            reads = self._state_store.get_desired(agent), self._state_store.get_release(agent)
            try:
                self._read[agent] = AgentState(*await gather_two(*reads))
            except GatewayError as error:
                self._read[agent] = error
        found = self._read[agent]
        if isinstance(found, GatewayError):
            raise found
        return found

    def forget(self, agent: str) -> None:
        """The agent's state has changed."""
        self._read.pop(agent, None)
