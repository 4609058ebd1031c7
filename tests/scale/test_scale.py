"""Reads of Foundry keep to their budget, and with a rate limit more pushes go live with a budget than without."""

from __future__ import annotations

from dataclasses import replace
from statistics import mean

from tests.scale.__main__ import DEFAULT_BUDGET, NO_BUDGET, measure
from tests.scale.fleet import Load


def test_polls_keep_to_the_budget_and_delay_a_release_by_a_tenth_at_most() -> None:
    load = Load(24, 15, 1, foundry_limit=None, minutes=15)
    without, with_budget = measure(load).measured, measure(replace(load, read_budget=2.0)).measured
    assert without.foundry["get_version"] > 2.0 * 15 * 60, "without a budget there are more polls"
    assert with_budget.foundry["get_version"] <= 2.0 * 15 * 60
    assert mean(with_budget.lead_times) <= 1.1 * mean(without.lead_times)


def test_with_a_rate_limit_a_budget_brings_more_pushes_live() -> None:
    load = Load(100, 20, 2, minutes=10, read_budget=NO_BUDGET)
    without, with_budget = measure(load).measured, measure(replace(load, read_budget=DEFAULT_BUDGET)).measured
    assert len(with_budget.lead_times) > 3 * len(without.lead_times)
    assert with_budget.foundry["429"] < without.foundry["429"] / 5


def test_at_a_fifth_of_a_request_a_second_pushes_go_live() -> None:
    load = Load(100, 20, 1, minutes=20, foundry_limit=0.2, read_budget=DEFAULT_BUDGET)
    most = 0.2 * 20 * 60 / 14
    assert len(measure(load).measured.lead_times) > most / 4
