"""The words in which outcomes are told, and who tells them where no topic is set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Told:
    """One outcome, as the world is told it: a CloudEvent whose ``name`` is the same whenever it is told again."""

    name: str
    kind: str
    subject: str
    data: Mapping[str, object]
    traceparent: str | None = None


class Outcomes(Protocol):
    """Where outcomes are told."""

    async def publish(self, events: Sequence[Told]) -> None:
        """Tell them, within seconds or not at all; raises TransientError or PermanentError."""


class Nobody:
    """Outcomes where no topic is set."""

    async def publish(self, events: Sequence[Told]) -> None:
        """Tell nobody."""
