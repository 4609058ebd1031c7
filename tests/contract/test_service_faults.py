"""Every service goes wrong in every way: one clear line, nothing lost, nothing made twice, and live in the end."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
import pytest_asyncio

from core.reasons import Reason
from tests.contract.fault_table import ACTS, AFTER_EFFECT, CALLS, PASSING, STAYING, STORED, Call, Kind, ending
from tests.contract.faulty_app import AGENT, CANARY, House, opened
from tests.contract.faulty_services import Before

pytestmark = pytest.mark.asyncio(loop_scope="module")

A_WHILE = 10.0
"""Seconds that a fault lasts which passes."""

DOWN = [
    ("foundry", "SERVICE_UNAVAILABLE"),
    ("vault", "SERVICE_UNAVAILABLE"),
    ("registry", "SERVICE_UNAVAILABLE"),
    ("blobs", "POISONED"),
    ("queues", "POISONED"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def standing(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[House, Before]]:
    async with opened(tmp_path_factory.mktemp("house")) as house:
        yield house, house.parts.keep()


@pytest_asyncio.fixture(loop_scope="module")
async def house(standing: tuple[House, Before]) -> House:
    """One house for all: what a case did is undone before the next."""
    house, before = standing
    await house.parts.restore(before)
    house.forget()
    return house


def table(calls: Iterable[Call], kinds: Iterable[Kind]) -> list[Any]:
    kinds = tuple(kinds)
    return [pytest.param(call, kind, id=f"{call.name}: {kind.name}") for call in calls for kind in kinds]


def go_wrong(house: House, call: Call, kind: Kind, *, times: int = 0, seconds: float | None = None) -> None:
    """Plan the fault."""
    if call.name == "create a toolbox":
        house.parts.foundry.project.toolboxes.clear()
    if call.name == "get a token":
        house.parts.forget_token()
    house.parts.plan(call.part, kind.on(call, times=times), seconds=seconds)


def judge_live(house: House) -> None:
    """The pushed image serves, as the one version that was made of it, told once and without a secret."""
    assert house.live() == "b"
    assert house.made("b") == 1
    assert house.ears.reasons().count("LIVE") == 1
    assert len(house.parts.foundry.project.toolboxes[f"{AGENT}-tools"]["versions"]) == 1
    assert CANARY not in house.everything_said()


def judge_told(house: House, call: Call, kind: Kind) -> str:
    """One line wants a look; it says what it is, where, and what to do."""
    (line,) = (one for one in house.ears.alarming() if one["reason"] != Reason.WRITE_NOT_APPLIED)
    reason = Reason[line["reason"]]
    assert reason == ending(call, kind)
    assert line["help"] == reason.help
    detail = str(line.get("detail"))
    said = [detail, *map(str, house.raised)]
    foreseen = call.thing and call.thing in detail
    assert foreseen or any(call.service in one and re.search(kind.code, one) for one in said), said
    assert "Traceback" not in str(line)
    return reason


@pytest.mark.parametrize(("call", "kind"), table(CALLS, PASSING))
@pytest.mark.parametrize("times", [1, 0], ids=["once", "for a while"])
async def test_a_fault_that_passes_delays_the_release(house: House, call: Call, kind: Kind, times: int) -> None:
    go_wrong(house, call, kind, times=times, seconds=A_WHILE)
    await house.pushed("v2", "b")
    await house.work(wait=True)
    judge_live(house)
    assert not house.poison
    assert not [line for line in house.ears.alarming() if Reason[line["reason"]].severity == "error"]


@pytest.mark.parametrize(("call", "kind"), table((*ACTS, *STORED), AFTER_EFFECT))
@pytest.mark.parametrize("times", [1, 0], ids=["once", "for a while"])
async def test_what_took_effect_without_an_answer_is_not_done_again(
    house: House, call: Call, kind: Kind, times: int
) -> None:
    go_wrong(house, call, kind, times=times, seconds=A_WHILE)
    await house.pushed("v2", "b")
    await house.work(wait=True)
    judge_live(house)
    assert not house.poison


@pytest.mark.parametrize(("call", "kind"), table(CALLS, STAYING))
async def test_a_fault_that_stays_is_told_once_and_nothing_is_lost(house: House, call: Call, kind: Kind) -> None:
    go_wrong(house, call, kind)
    await house.pushed("v2", "b")
    await house.work(wait=False)
    if ending(call, kind) == "LIVE":
        judge_live(house)
        return
    reason = judge_told(house, call, kind)
    assert house.live() == "a"
    assert house.made("b") <= 1
    await house.parts.mend()
    desired = await house.wanted()
    assert house.poison or (desired.push is not None and desired.push.tag == "v2")
    await taken_up(house, reason)
    judge_live(house)


@pytest.mark.parametrize("seconds", [A_WHILE, None], ids=["for a while", "until somebody mends it"])
@pytest.mark.parametrize(("part", "ends"), DOWN)
async def test_a_service_that_is_down_loses_nothing(house: House, part: str, ends: str, seconds: float | None) -> None:
    await house.parts.stop(part, seconds=seconds)
    await house.pushed("v2", "b")
    await house.work(wait=seconds is not None)
    if seconds is None:
        (line,) = house.ears.alarming()
        assert line["reason"] == ends
        assert house.live() == "a"
        await house.parts.mend()
        await taken_up(house, ends)
    judge_live(house)


async def taken_up(house: House, reason: str) -> None:
    """What the help of the reason says: nothing to do, put the message back, or push again."""
    if reason == Reason.POISONED:
        await house.put_back()
        await house.resumed()
    elif "Nothing to do" not in Reason[reason].help:
        await house.pushed("v3", "b")
    await house.work(wait=True)
