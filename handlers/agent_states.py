"""The two states of an agent, read together; and those of many, each once, whichever steps need them."""

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


async def read_state(agent: str, state_store: StateStore) -> AgentState:
    """Both states; raises TransientError or PermanentError."""
    return AgentState(*await gather_two(state_store.get_desired(agent), state_store.get_release(agent)))


class AgentStates:
    """Reads a state at its first use; a step that changes one forgets it."""

    def __init__(self, state_store: StateStore) -> None:
        self._state_store = state_store
        self._read: dict[str, AgentState | GatewayError] = {}

    async def get(self, agent: str) -> AgentState:
        """The state; raises TransientError or PermanentError, the same in the whole run."""
        if agent not in self._read:
            try:
                self._read[agent] = await read_state(agent, self._state_store)
            except GatewayError as error:
                self._read[agent] = error
        found = self._read[agent]
        if isinstance(found, GatewayError):
            raise found
        return found

    def forget(self, agent: str) -> None:
        """The agent's state has changed."""
        self._read.pop(agent, None)
