"""The poll keeps to its budget and delays nobody by over a tenth; where Foundry refuses, more go live than before."""

from __future__ import annotations

from dataclasses import replace
from statistics import mean

from tests.scale.__main__ import BEFORE, BUDGET, live
from tests.scale.fleet import Size


def test_a_call_budget_is_kept_and_live_is_delayed_by_a_tenth_at_most() -> None:
    size = Size(24, 15, 1, a_second=None, minutes=15)
    before, after = live(replace(size, looks=BEFORE)), live(replace(size, looks=2.0))
    assert before.seen.foundry["get_version"] > 2.0 * 15 * 60, "the poll of before breaks this budget"
    assert after.seen.foundry["get_version"] <= 2.0 * 15 * 60
    assert mean(after.seen.leads) <= 1.1 * mean(before.seen.leads)


def test_releases_that_were_refused_in_turn_till_none_went_live_now_come_one_after_another() -> None:
    size = Size(100, 20, 2, minutes=10)
    before, after = live(replace(size, looks=BEFORE)), live(replace(size, looks=BUDGET))
    assert len(after.seen.leads) > 3 * len(before.seen.leads)
    assert after.seen.foundry["429"] < before.seen.foundry["429"] / 5
