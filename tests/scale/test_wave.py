"""A push to 50 agents in four projects takes little longer than the slowest of its parts."""

from __future__ import annotations

from core.target import project_of
from tests.scale.wave import seconds_until_live
from tests.simulation.virtual_time import in_virtual_time

MAX_RATIO = 1.3


def _all(_: str) -> bool:
    return True


@in_virtual_time
async def test_a_wave_takes_little_longer_than_its_slowest_chain() -> None:
    chain = await seconds_until_live(lambda target: target == "agent-0@asia", None)
    assert await seconds_until_live(_all, None) <= MAX_RATIO * chain


@in_virtual_time
async def test_where_each_project_limits_requests_a_wave_takes_little_longer_than_its_slowest_project() -> None:
    slowest = await seconds_until_live(lambda target: project_of(target) == "asia", 10.0)
    assert await seconds_until_live(_all, 10.0) <= MAX_RATIO * slowest
