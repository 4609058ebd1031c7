"""The Event Grid topic for outcomes in memory."""

from __future__ import annotations

from collections.abc import Sequence

from handlers.gateways.errors import GatewayError
from handlers.gateways.interfaces import OutcomeEvent


class InMemoryOutcomePublisher:
    """See the OutcomePublisher protocol; keeps one event per id, as a subscriber that ignores duplicates."""

    def __init__(self) -> None:
        self.published: dict[str, OutcomeEvent] = {}
        self.error: GatewayError | None = None
        """What publishing raises."""

    async def publish(self, events: Sequence[OutcomeEvent]) -> None:
        if self.error is not None:
            raise self.error
        self.published |= {event.id: event for event in events}

    def kinds(self) -> list[str]:
        """The type of every published event, oldest first."""
        return [event.type for event in self.published.values()]
