"""The timers keep their times at any number of agents: docs/how-to/scale.md states them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from math import ceil
from random import Random

import pytest

from core.model import Routing
from core.reasons import Reason
from handlers.prune_versions import run as prune_run
from handlers.resume_releases import drift_report, missed_pushes
from tests.scale.fleet import RESUME_EVERY
from tests.scale.meter import RateLimit
from tests.scale.timers import TimerFleet
from tests.simulation.virtual_time import in_virtual_time

EVENT_TIME = timedelta(minutes=2)


class EverySecondRefused(RateLimit):
    """Refuses every second request, at any rate."""

    requests = 0

    def take(self) -> float:
        self.requests += 1
        return float(self.requests % 2)


class RefusingFleet(TimerFleet):
    """A fleet whose Foundry is not well."""

    def rate_limit(self) -> RateLimit:
        return EverySecondRefused(self.clock, None)


@pytest.mark.parametrize(("agents", "foundry_limit", "seconds"), [(41, 5.0, 60), (1000, 5.0, 60), (1000, None, 15)])
@in_virtual_time
async def test_a_quiet_run_ends_within_a_minute(agents: int, foundry_limit: float | None, seconds: float) -> None:
    fleet = TimerFleet(agents, foundry_limit)
    await fleet.settle()
    for _ in range(2):
        await asyncio.sleep(RESUME_EVERY)
        assert await fleet.resume() <= seconds
    assert fleet.journal.lines == [], "nothing is unknown"
    assert fleet.measured.storage["get_release"] == 3 * agents, "a state is read once a run"


@pytest.mark.parametrize("agents", [200, 1000])
@in_virtual_time
async def test_every_agent_is_pruned_at_the_rate_that_foundry_takes(agents: int) -> None:
    fleet = TimerFleet(agents, foundry_limit=5.0)
    await fleet.settle()
    await asyncio.sleep(RESUME_EVERY)
    assert await fleet.prune() <= 2 * agents / 5.0 * 1.1
    assert len(fleet.lines(Reason.IMAGES_IN_USE)) == agents
    assert fleet.lines(Reason.PRUNE_STOPPED) == []


@in_virtual_time
async def test_every_lost_push_and_every_drift_of_a_thousand_agents_is_found_in_time() -> None:
    fleet, random = TimerFleet(1000, foundry_limit=5.0), Random(7)
    await fleet.settle()
    names = sorted(fleet.agents.agents)
    lost, changed = {}, random.sample(names, 20)
    host = asyncio.ensure_future(fleet.resume_for_ever())
    await asyncio.sleep(400)
    changed_at = fleet.clock.now()
    for name in changed:
        fleet.foundry.agents[name].routing = Routing.to("1")
    for name in random.sample(sorted(set(names) - set(changed)), 20):
        await asyncio.sleep(random.uniform(0, 60))
        lost[name] = fleet.clock.now()
        fleet.lose_push(name)
    drift_runs = ceil(len(names) / drift_report.MAX_AGENTS)
    await asyncio.sleep((drift_runs + 1) * RESUME_EVERY)
    host.cancel()
    found, drifted = fleet.times(Reason.MISSED_PUSH_FOUND), fleet.times(Reason.DRIFT)
    runs = ceil(len(names) / missed_pushes.MAX_REPOSITORIES)
    within = EVENT_TIME + timedelta(seconds=(runs + 1) * RESUME_EVERY)
    assert {name for name, at in lost.items() if found.get(name, at + 2 * within) - at > within} == set()
    assert set(drifted) == set(changed)
    assert max(drifted.values()) - changed_at <= timedelta(seconds=(drift_runs + 1) * RESUME_EVERY)
    assert fleet.lines(Reason.DRIFT_UNKNOWN) == []


@in_virtual_time
async def test_where_foundry_is_slower_than_a_run_is_long_the_run_says_so_and_the_next_one_goes_on() -> None:
    fleet = TimerFleet(60, foundry_limit=1.0)
    await fleet.settle()
    for name in fleet.agents.agents:
        fleet.foundry.agents[name].routing = Routing.to("1")
    for _ in range(8):
        await asyncio.sleep(RESUME_EVERY)
        assert await fleet.resume() <= 75
    assert set(fleet.times(Reason.DRIFT)) == set(fleet.agents.agents)
    assert all("left to the next run" in str(line["detail"]) for line in fleet.lines(Reason.DRIFT_UNKNOWN))
    assert fleet.lines(Reason.DRIFT_UNKNOWN)


@in_virtual_time
async def test_three_thousand_agents_at_one_read_a_second_are_reached_in_turn_and_what_is_left_is_reported() -> None:
    fleet = TimerFleet(3000, foundry_limit=1.0)
    await fleet.settle()
    await asyncio.sleep(RESUME_EVERY)
    assert await fleet.resume() <= 75
    (left,) = fleet.lines(Reason.DRIFT_UNKNOWN)
    assert "left to the next run" in str(left["detail"])
    pruned = set[str]()
    for _ in range(2):
        fleet.journal.lines.clear()
        assert await fleet.prune() <= prune_run.MAX_RUN_TIME.total_seconds() + 60
        stopped = {line["agent"] for line in fleet.lines(Reason.PRUNE_STOPPED)}
        done = set(fleet.times(Reason.IMAGES_IN_USE))
        assert stopped | done == set(fleet.agents.agents), "each agent is pruned, or reported"
        assert not pruned & done, "the next run goes on where this one stopped"
        assert len(done) >= 300
        pruned |= done


@in_virtual_time
async def test_an_hour_in_which_foundry_refuses_every_second_read_hides_no_drift_and_no_agent() -> None:
    fleet = RefusingFleet(40, foundry_limit=None)
    await fleet.settle()
    for name in fleet.agents.agents:
        fleet.foundry.agents[name].routing = Routing.to("1")
    for _ in range(12):
        await asyncio.sleep(RESUME_EVERY)
        assert await fleet.resume() <= 90
    assert set(fleet.times(Reason.DRIFT)) == set(fleet.agents.agents)
    reached = set[object]()
    for _ in range(2):
        fleet.journal.lines.clear()
        assert await fleet.prune() <= prune_run.MAX_RUN_TIME.total_seconds() + 60
        done = set(fleet.times(Reason.IMAGES_IN_USE))
        assert done | {line["agent"] for line in fleet.lines(Reason.PRUNE_STOPPED)} == set(fleet.agents.agents)
        reached |= done
    assert reached == set(fleet.agents.agents)
