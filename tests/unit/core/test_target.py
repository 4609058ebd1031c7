"""Targets: agents in projects."""

from __future__ import annotations

import pytest

from core.target import agent_of, by_project, project_of, target_of


@pytest.mark.parametrize(
    ("target", "agent", "project"), [("hello", "hello", "default"), ("hello@prod-eu", "hello", "prod-eu")]
)
def test_a_target_names_agent_and_project(target: str, agent: str, project: str) -> None:
    assert (agent_of(target), project_of(target)) == (agent, project)
    assert target_of(agent, project) == target


def test_targets_are_grouped_by_project_in_their_order() -> None:
    assert by_project(["b@eu", "a", "a@eu", "c"]) == [["b@eu", "a@eu"], ["a", "c"]]
