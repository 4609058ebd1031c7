"""Reads of Foundry keep to their budget, and with a rate limit more pushes go live with a budget than without."""

from __future__ import annotations

from dataclasses import replace
from statistics import mean

import pytest

from tests.scale.__main__ import DEFAULT_BUDGET, NO_BUDGET, measure
from tests.scale.fleet import Fleet, Load
from tests.scale.storm import Storm, measure_storm
from tests.simulation.virtual_time import in_virtual_time
from tests.unit.handlers.gateways.test_app_share import BrokenInstances


def test_polls_keep_to_the_budget_and_delay_a_release_by_a_tenth_at_most() -> None:
    load = Load(24, 15, 1, foundry_limit=None, minutes=15)
    without, with_budget = measure(load), measure(replace(load, read_budget=2.0))
    assert without.foundry["get_version"] > 2.0 * 15 * 60, "without a budget there are more polls"
    assert with_budget.foundry["get_version"] <= 2.0 * 15 * 60
    assert mean(with_budget.lead_times) <= 1.1 * mean(without.lead_times)


def test_with_a_rate_limit_a_budget_brings_more_pushes_live() -> None:
    load = Load(100, 20, 2, minutes=10, read_budget=NO_BUDGET)
    without, with_budget = measure(load), measure(replace(load, read_budget=DEFAULT_BUDGET))
    assert len(with_budget.lead_times) > 3 * len(without.lead_times)
    assert with_budget.foundry["429"] < without.foundry["429"] / 5


@pytest.mark.parametrize("instances", [1, 12])
def test_at_a_fifth_of_a_request_a_second_pushes_go_live(instances: int) -> None:
    load = Load(100, 20, instances, minutes=20, foundry_limit=0.2, read_budget=DEFAULT_BUDGET)
    assert len(measure(load).lead_times) > load.most_live / 4


class UnheardFleet(Fleet):
    """Instances whose heartbeats cannot be written."""

    def new_heartbeats(self) -> BrokenInstances:
        return BrokenInstances()


@pytest.mark.parametrize(("instances", "limit", "budget"), [(7, 1.0, DEFAULT_BUDGET), (1, 0.2, 0.2), (7, 0.2, 0.2)])
@in_virtual_time
async def test_instances_that_hear_nothing_of_each_other_are_slower_and_not_stuck(
    instances: int, limit: float, budget: float
) -> None:
    load = Load(30, 6, instances, minutes=30, foundry_limit=limit, read_budget=budget)
    assert len((await UnheardFleet(load).run()).lead_times) > load.most_live / 8


@pytest.mark.parametrize(("repositories", "shuffled"), [(1, False), (30, True)])
def test_a_storm_of_events_loses_none_and_ends_with_the_newest_push_of_each_repository(
    repositories: int, shuffled: bool
) -> None:
    row = measure_storm(Storm(repositories, 4, 20.0, 600, shuffled))
    assert (row.lost, row.live) == (0, repositories)
    assert row.noted_seconds < 30, "Event Grid waits no longer for an answer"
    assert row.storage_requests < 8 * 600
