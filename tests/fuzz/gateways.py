"""Gateways in memory that store as the real ones do: what has no encoding cannot be stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from core.state.desired import DesiredState
from core.state.release import ReleaseState
from handlers.gateways.in_memory.clock import ManualClock
from handlers.gateways.in_memory.foundry import InMemoryFoundry
from handlers.gateways.in_memory.journal import InMemoryJournal
from handlers.gateways.in_memory.key_vault import InMemoryKeyVault
from handlers.gateways.in_memory.registry import InMemoryRegistry
from handlers.gateways.in_memory.release_queue import InMemoryReleaseQueue
from handlers.gateways.in_memory.state_store import InMemoryStateStore
from handlers.gateways.interfaces import Gateways
from handlers.gateways.storage.journal import encode_line
from handlers.gateways.storage.state_store import DESIRED_CODEC, RELEASE_CODEC
from handlers.settings import Settings
from tests.simulation.scene import ENVIRONMENT

SETTINGS = Settings.from_env(ENVIRONMENT)


class EncodingStateStore(InMemoryStateStore):
    """A state store that encodes and decodes what it stores."""

    async def update_desired(self, agent: str, change: Callable[[DesiredState], DesiredState]) -> DesiredState:
        desired = await super().update_desired(agent, change)
        assert DESIRED_CODEC.decode(DESIRED_CODEC.encode(desired), agent) == desired, "decoding gives another value"
        return desired

    async def get_release(self, agent: str) -> ReleaseState:
        release = await super().get_release(agent)
        return RELEASE_CODEC.decode(RELEASE_CODEC.encode(release), agent)


class EncodingJournal(InMemoryJournal):
    """A journal that encodes its lines."""

    async def append(self, *lines: Mapping[str, object]) -> None:
        for line in lines:
            encode_line(line)
        await super().append(*lines)


def in_memory_gateways() -> Gateways:
    """Return gateways without any agent, and one secret."""
    clock, key_vault = ManualClock(), InMemoryKeyVault()
    key_vault.put("hello-key", "value-of-hello-key")
    return Gateways(
        foundry=InMemoryFoundry(clock, provisioning=5.0),
        key_vault=key_vault,
        state_store=EncodingStateStore(clock),
        journal=EncodingJournal(),
        release_queue=InMemoryReleaseQueue(clock),
        clock=clock,
        registry=InMemoryRegistry(),
    )
