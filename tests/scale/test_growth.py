"""What `make bench` counts at full size, at small sizes: doubled sizes show what is read for nothing."""

from __future__ import annotations

import pytest

from bench.journal import bytes_watched, explain
from bench.lists import rotation_requests, tag_requests, variable_requests
from bench.report import Row, page, page_with
from bench.unasked import NEEDED, release_calls
from tests.scale.hours import measure_hour
from tests.scale.one_release import KNOWN_TIMES, overhead
from tests.simulation.virtual_time import run


@pytest.mark.parametrize(("agents", "secrets"), [(10, 100), (20, 100), (10, 200)])
async def test_a_rotation_of_an_unused_secret_costs_the_same_in_any_estate(agents: int, secrets: int) -> None:
    assert await rotation_requests(agents, secrets) == 2


async def test_a_list_costs_one_request_a_page_and_one_without_a_token() -> None:
    assert [await variable_requests(secrets) for secrets in (100, 200)] == [5, 9]
    assert [await tag_requests(tags) for tags in (1_000, 2_000)] == [11, 21]
    assert await tag_requests(2_000, pages=1) == 2


async def test_a_release_makes_no_call_that_nobody_asked_for() -> None:
    calls = await release_calls()
    assert set(calls) <= NEEDED
    assert (calls["create_version"], calls["set_routing"], calls["list_versions"]) == (1, 1, 1)


@pytest.mark.parametrize("provisioning", [15.0, 19.8, 24.1])
def test_a_release_with_known_times_adds_about_a_second_to_the_provisioning(provisioning: float) -> None:
    assert run(overhead(provisioning, KNOWN_TIMES)) <= 1.2


async def test_watching_reads_only_what_is_new() -> None:
    assert [await bytes_watched(lines) for lines in (100, 200)] == [1.0, 1.0]


def test_why_finds_the_release_among_other_lines() -> None:
    explain(600, repeats=1)


def test_an_hour_at_rest_costs_reads_of_each_agent_and_says_nothing() -> None:
    few, many = measure_hour((50, 0)), measure_hour((100, 0))
    assert (few.decisions, many.decisions) == (0, 0)
    assert many.storage - few.storage == 12 * 2 * 50, "desired and release state once a run"
    assert many.foundry - few.foundry == 12 * 2 * 50, "agent and live version once a run"
    assert (few.registry, many.registry) == (12 * 50, 12 * 100)


def test_what_pushes_cost_does_not_depend_on_the_number_of_agents() -> None:
    costs = {size: measure_hour(size) for size in ((50, 0), (50, 30), (100, 0), (100, 30))}
    few, many = (costs[agents, 30].storage - costs[agents, 0].storage for agents in (50, 100))
    assert 0.8 < few / many < 1.25
    assert costs[100, 30].live >= 25


def test_a_row_that_is_measured_by_itself_replaces_its_line_and_no_other() -> None:
    machine = {"date": "today", "load_average": 1.0, "cores": 2}
    first, second = Row("first", "one", "s", 1.0, method="A"), Row("second", "two", "s", 2.0, method="B")
    written = page([first, second], machine)
    again = page_with(written, [Row("first", "one", "s", 3.0, method="C")], machine)
    later = "\n- measured by themselves, today, load average 1.0: first\n"
    assert later in again
    assert again.replace(later, "\n").replace("3.00", "1.00").replace("C.", "A.") == written
    assert page_with(again, [Row("first", "one", "s", 3.0, method="C")], machine) == again
