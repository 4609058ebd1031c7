"""Which decisions of a plan are news: a line a version every day would say the same for ever."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

from core.reasons import Reason

USUAL = frozenset(
    {
        Reason.KEPT_LIVE,
        Reason.KEPT_IN_RELEASE,
        Reason.KEPT_RECENT,
        Reason.KEPT_YOUNG,
        Reason.KEPT_TAGGED,
        Reason.KEPT_FOREIGN,
        Reason.KEPT_DRAFT,
    }
)


class Decision(Protocol):
    """A decision about a version of an agent or a toolbox."""

    @property
    def reason(self) -> Reason:
        """Why it stays or goes."""


D = TypeVar("D", bound=Decision)


def worth_recording(decisions: Iterable[D], *, deletes: bool) -> list[D]:
    """All decisions of a plan that deletes something; only the unusual ones of a plan that keeps everything."""
    return [decision for decision in decisions if deletes or decision.reason not in USUAL]
