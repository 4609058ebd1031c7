"""The journal in memory."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from handlers.gateways.errors import STORAGE, TransientError
from handlers.gateways.interfaces import NewLines


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

    async def read_day(self, day: datetime, containing: Collection[str] = ()) -> Sequence[Mapping[str, object]]:
        lines = [line for line in self.lines if str(line.get("at", ""))[:10] in ("", f"{day:%Y-%m-%d}")]
        texts = [_as_json(text)[1:-1] for text in containing]
        return [line for line in lines if not texts or any(text in _as_json(line) for text in texts)]

    async def end(self, day: datetime) -> Mapping[str, int]:
        return {f"{day:%Y-%m-%d}": len(await self.read_day(day))}

    async def read_new(self, day: datetime, position: Mapping[str, int]) -> NewLines:
        name, lines = f"{day:%Y-%m-%d}", await self.read_day(day)
        return NewLines(lines[position.get(name, 0) :], {**position, name: len(lines)})

    def reasons(self) -> list[str]:
        """The reason of every line, oldest first."""
        return [str(line["reason"]) for line in self.lines]


def _as_json(value: object) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)
