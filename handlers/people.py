"""What a person says, as a ledger write and a queue message; the app does the rest under its own lease."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from core import people
from core.desired import Noted
from core.model import Push
from core.record import Cause, Record, Wanted
from handlers.decisions import Decisions
from handlers.gateways import Gateways
from handlers.noting import note_and_ask

COMMON = {"cause": Cause.PERSON.value, "step": "person"}
Word = Callable[[Wanted, datetime], Noted]


async def approve(agent: str, by: str, outside: Gateways, version: str | None = None) -> Noted:
    """Let the version that waits go live; raises TransientError or PermanentError, as all of these do."""
    record = await outside.ledger.record(agent)
    return await _say(agent, lambda wanted, now: people.approve(wanted, record, version, by, now), outside)


async def hold(
    agent: str, why: str, by: str, outside: Gateways, digest: str | None = None, until: datetime | None = None
) -> Noted:
    """Keep an image from going live."""
    return await _say(agent, lambda wanted, now: people.hold(wanted, digest, why, by, until, now), outside)


async def lift(agent: str, by: str, outside: Gateways, digest: str | None = None) -> Noted:
    """End holds."""
    record = await outside.ledger.record(agent)
    return await _say(agent, lambda wanted, now: people.lift(wanted, record, digest, by, now), outside)


async def pause(
    agents: tuple[str, ...], why: str, by: str, outside: Gateways, until: datetime | None = None
) -> tuple[Noted, ...]:
    """Stop one agent, or each of several."""
    return tuple(
        [await _say(one, lambda wanted, now: people.pause(wanted, why, by, until, now), outside) for one in agents]
    )


async def resume(agents: tuple[str, ...], by: str, outside: Gateways) -> tuple[Noted, ...]:
    """Go on with one agent, or each of several."""
    return tuple([await _say(one, lambda wanted, _: people.resume(wanted, by), outside) for one in agents])


async def release_now(agent: str, by: str, outside: Gateways, push: Push | None = None) -> Noted:
    """Release a push, or what is wanted once more."""
    record: Record = await outside.ledger.record(agent)
    return await _say(agent, lambda wanted, now: people.release_now(wanted, record, push, by, now), outside)


async def _say(agent: str, word: Word, outside: Gateways) -> Noted:
    decisions = Decisions(outside.journal, outside.clock, {"agent": agent, **COMMON})
    noted = await note_and_ask(agent, word, outside)
    decisions.tell(noted.reason, noted.detail, serial=noted.wanted.serial)
    await decisions.flush()
    return noted
