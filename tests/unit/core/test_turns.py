"""Turns: each run takes the names after the last one taken, and none is left out."""

from __future__ import annotations

from core.turns import next_in_turn

NAMES = {"d", "a", "c", "b"}


def test_the_names_after_the_last_one_come_first() -> None:
    assert next_in_turn(NAMES, "", 3) == ["a", "b", "c"]
    assert next_in_turn(NAMES, "c", 3) == ["d", "a", "b"]


def test_no_name_is_taken_twice_in_a_run() -> None:
    assert next_in_turn(NAMES, "b", 10) == ["c", "d", "a", "b"]


def test_a_name_that_is_gone_still_says_where_to_go_on() -> None:
    assert next_in_turn(NAMES, "bb", 2) == ["c", "d"]
    assert next_in_turn(NAMES, "z", 1) == ["a"]
