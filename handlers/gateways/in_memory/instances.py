"""The heartbeats of all instances in memory."""

from __future__ import annotations

from collections.abc import Sequence

from core.foundry_rate import MAX_SILENT_SECONDS, Heartbeat
from handlers.gateways.clock import Clock


class InMemoryInstances:
    """See the Instances protocol."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.heartbeats: dict[str, tuple[Heartbeat, float]] = {}

    async def exchange(self, own: Heartbeat) -> Sequence[Heartbeat]:
        now = self.clock.monotonic()
        self.heartbeats[own.instance] = own, now
        beats = ((beat, now - at) for name, (beat, at) in self.heartbeats.items() if name != own.instance)
        return [beat.after(silent) for beat, silent in beats if silent <= MAX_SILENT_SECONDS]
