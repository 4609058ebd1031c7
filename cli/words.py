"""What a person tells Slipway."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cli.codes import DONE, REFUSED
from cli.running import Answer, House
from cli.times import how_long
from core.intake.events import DesiredUpdate
from core.reasons import Reason
from handlers import user_commands

FOR_MANY = ("pause", "unpause")
NOTHING_DONE = frozenset(
    {
        Reason.NOTHING_TO_APPROVE,
        Reason.NOTHING_HELD,
        Reason.NOTHING_PAUSED,
        Reason.NO_PUSH_YET,
        Reason.NO_ROLLBACK_VERSION,
    }
)


@dataclass(frozen=True, slots=True)
class Told:
    """A word, whom it is for, and what comes with it."""

    word: str
    agent: str
    given: Mapping[str, Any]


async def say(house: House, told: Told, watch: bool, as_json: bool) -> Answer:
    """A ledger write and a queue message; the app does the rest under its own lease."""
    names = house.named(told.agent)
    given = await _given(house, told)
    house.progress.what = "writing down what was said"
    since = house.gateways.clock.now()
    if told.word in FOR_MANY:
        noted = list(await getattr(user_commands, told.word)(tuple(names), gateways=house.gateways, **given))
    else:
        noted = [await getattr(user_commands, told.word)(name, gateways=house.gateways, **given) for name in names]
    said = dict(zip(names, noted, strict=True))
    if watch and any(one.enqueues for one in noted):
        from cli.watching import watch as watched

        print(_text(said), flush=True) if not as_json else None
        return await watched(
            house, {name: one.desired.generation for name, one in said.items() if one.enqueues}, since, as_json
        )
    data = [{"agent": name, "reason": one.reason, "detail": one.detail} for name, one in said.items()]
    refused = all(one.reason in NOTHING_DONE for one in noted)
    return Answer(_text(said), data, REFUSED if refused else DONE)


async def _given(house: House, told: Told) -> dict[str, Any]:
    """What the word takes: an image as the push that it means, an end as a time."""
    given = dict(told.given)
    if "image" in given:
        from cli.images import resolve

        house.progress.what = "asking the registry what the image is"
        rule = house.agents.agents[house.named(told.agent)[0]]
        server = house.settings.registry_login_server
        given["push"] = await resolve(given.pop("image"), rule, server, house.gateways)
    if "until" in given:
        given["until"] = house.gateways.clock.now() + how_long(given["until"])
    return given


def _text(said: Mapping[str, DesiredUpdate]) -> str:
    lines = [f"{name}: {one.reason} {one.detail}".rstrip() for name, one in said.items()]
    return "\n".join([*lines, *sorted({f"  {one.reason.help}" for one in said.values()})])
