"""Which of many agents or repositories a timer run takes next, where it takes some of them a run."""

from __future__ import annotations

from collections.abc import Iterable


def next_in_turn(names: Iterable[str], last: str, most: int) -> list[str]:
    """The names in alphabetical order that follow the last one taken, from the first again after the end."""
    ordered = sorted(names)
    later = [name for name in ordered if name > last]
    return [*later, *ordered[: len(ordered) - len(later)]][:most]
