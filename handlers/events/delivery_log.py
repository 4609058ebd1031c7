"""The decisions of one delivery, which may hold thousands of events that mean nothing to any agent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from core.reasons import Reason
from handlers.gateways.clock import Clock
from handlers.gateways.interfaces import Journal
from handlers.telemetry.decision_log import DecisionLog

MAX_LINES = 10
"""Of one reason that concerns no agent: 15,000 empty events would fill a day's budget of telemetry."""


class DeliveryLog(DecisionLog):
    """Records the first decisions of each reason that concern no agent, and counts the others."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        super().__init__(journal, clock, {})
        self._counts = Counter[Reason]()

    def record(
        self, reason: Reason, detail: str = "", *, journal_only: Mapping[str, object] | None = None, **fields: object
    ) -> None:
        """Record a decision, or count it."""
        if "agent" not in fields:
            self._counts[reason] += 1
            if self._counts[reason] > MAX_LINES:
                return
        super().record(reason, detail, journal_only=journal_only, **fields)

    def record_rest(self, step: str) -> None:
        """Record how many decisions were only counted."""
        for reason, count in self._counts.items():
            if count > MAX_LINES:
                detail = f"{count - MAX_LINES} more events of this delivery"
                super().record(reason, detail, count=count - MAX_LINES, step=step)
