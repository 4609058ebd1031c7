"""What a person tells Slipway."""

from __future__ import annotations

from typing import Any

from cli.running import Answer, House
from core.reasons import Reason
from handlers import people

FOR_MANY = ("pause", "resume")
NOTHING_DONE = frozenset(
    {Reason.NOTHING_TO_APPROVE, Reason.NOTHING_HELD, Reason.NOTHING_PAUSED, Reason.NOTHING_DESIRED}
)


async def say(house: House, word: str, agent: str, given: dict[str, Any]) -> Answer:
    """A ledger write and a queue message; the app does the rest under its own lease."""
    names = house.named(agent)
    if word in FOR_MANY:
        noted = list(await getattr(people, word)(tuple(names), outside=house.outside, **given))
    else:
        noted = [await getattr(people, word)(name, outside=house.outside, **given) for name in names]
    lines = [f"{name}: {one.reason} {one.detail}".rstrip() for name, one in zip(names, noted, strict=True)]
    lines += sorted({f"  {one.reason.help}" for one in noted})
    data = [{"agent": name, "reason": one.reason, "detail": one.detail} for name, one in zip(names, noted, strict=True)]
    return Answer("\n".join(lines), data, refused=all(one.reason in NOTHING_DONE for one in noted))
