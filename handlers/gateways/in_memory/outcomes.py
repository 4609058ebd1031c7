"""A topic in memory: what was told it, each event once by its name, as subscribers see it who look at the id."""

from __future__ import annotations

from collections.abc import Sequence

from handlers.gateways.errors import GatewayError
from handlers.gateways.interfaces import OutcomeEvent


class FakeOutcomes:
    """See the Outcomes protocol; ``failing`` is how a test has the topic refuse."""

    def __init__(self) -> None:
        self.told: dict[str, OutcomeEvent] = {}
        self.failing: GatewayError | None = None

    async def publish(self, events: Sequence[OutcomeEvent]) -> None:
        if self.failing is not None:
            raise self.failing
        self.told |= {one.id: one for one in events}

    def kinds(self) -> list[str]:
        """What was told, oldest first."""
        return [one.type for one in self.told.values()]
