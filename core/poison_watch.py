"""Decides when messages of a poison queue are reported: no function takes them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PoisonWatch:
    """What the last run of the timer saw of one poison queue."""

    messages: int = 0
    reported: int = 0
    """How many of them are reported: once while they stay."""


def watch_poison_queue(last: PoisonWatch, messages: int) -> tuple[PoisonWatch, int]:
    """The watch to store, and how many messages to report; 0: nothing to report.

    A function takes a message from a poison queue within seconds. What the last run saw and this run still sees, five
    minutes later, was taken by none; a message that arrived meanwhile may be running.
    """
    stuck = min(last.messages, messages)
    if stuck > last.reported:
        return PoisonWatch(messages, stuck), stuck
    return PoisonWatch(messages, min(last.reported, messages)), 0
