"""The journal in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from handlers.gateways.errors import STORAGE, TransientError


class InMemoryJournal:
    """See the Journal protocol."""

    def __init__(self) -> None:
        self.lines: list[Mapping[str, object]] = []
        self.down = False
        """Set it, and appending fails."""

    async def append(self, *lines: Mapping[str, object]) -> None:
        if self.down:
            raise TransientError(STORAGE, "no answer", "write the journal")
        self.lines.extend(lines)

    async def read_day(self, day: datetime) -> Sequence[Mapping[str, object]]:
        return [line for line in self.lines if str(line.get("at", ""))[:10] in ("", f"{day:%Y-%m-%d}")]

    def reasons(self) -> list[str]:
        """The reason of every line, oldest first."""
        return [str(line["reason"]) for line in self.lines]
