"""Prunes before a create where the agent is near its version limit."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from core.agents_file.spec import AgentSpec
from core.model import Agent, Version
from core.prune.retention import Keep
from core.reasons import Reason
from core.release.actions import Action, EndRelease, PruneForRoom, Read
from core.release.decide import next_action
from core.release.inputs import DecisionInput, Observed
from core.release.rules_version_limit import kept_because, make_room
from tests.unit.core.release.test_decide import NOW, RESOLVED, TO_1, UNDER_WAY, WANTED, agent, version

RULE = AgentSpec.model_validate(
    {"name": "hello-agent", "repository": "agents/hello", "keep": {"newest": 0, "limit": 10, "min_age": "1d"}}
)


def listed(*ages: float) -> tuple[Version, ...]:
    """Versions 1, 2, 3 … so many days old; 1 serves."""
    return tuple(
        version(str(n), fingerprint=f"fp-old-{n}", created_at=NOW - timedelta(days=age))
        for n, age in enumerate(ages, 1)
    )


def observed(
    found: Agent | None, versions: tuple[Version, ...] = (), tried: dict[str, Reason] | None = None
) -> Observed:
    return Observed(frozenset(Read), found, versions, release_definition=RESOLVED, prune_results=tried or {})


def step(versions: tuple[Version, ...], tried: dict[str, Reason] | None = None, **changes: object) -> Action | None:
    known = observed(agent(TO_1), versions, tried)
    release = replace(UNDER_WAY, candidate=None, last_good=None, **changes)  # type: ignore[arg-type]
    return make_room(DecisionInput(WANTED, release, known), RULE, NOW)


def going(found: Action | None) -> list[str]:
    assert isinstance(found, PruneForRoom)
    return [line.version.number for line in found.deletions]


def test_up_to_eighty_percent_nothing_is_asked() -> None:
    assert step(listed(*[9.0] * 8)) is None


def test_above_it_what_may_go_goes_first() -> None:
    assert going(step(listed(*[9.0] * 9))) == [str(n) for n in range(2, 10)]


def test_what_is_only_young_gives_way_to_eighty_percent() -> None:
    assert going(step(listed(*[0.1] * 9))) == ["2"]


def test_a_release_prunes_once_and_creates_although_it_stays_crowded() -> None:
    assert step(listed(*[9.0] * 9), {"2": Reason.SESSIONS_ACTIVE}) is None


def test_at_the_limit_it_goes_on_until_nothing_is_left_to_try() -> None:
    tried = {str(n): Reason.SESSIONS_ACTIVE for n in range(2, 10)}
    assert going(step(listed(*[9.0] * 10), tried)) == ["10"]
    found = step(listed(*[9.0] * 10), tried | {"10": Reason.SESSIONS_ACTIVE})
    assert isinstance(found, EndRelease)
    assert (found.reason, found.detail) == (
        Reason.VERSION_LIMIT,
        "10 of 10 versions: KEPT_LIVE 1, SESSIONS_ACTIVE 2-10",
    )


def test_a_deleted_version_that_the_list_still_names_does_not_count() -> None:
    assert step(listed(*[9.0] * 10), {str(n): Reason.PRUNED_STALE for n in range(2, 10)}) is None


def test_a_candidate_needs_no_room() -> None:
    known = observed(agent(TO_1), listed(*[9.0] * 10))
    assert make_room(DecisionInput(WANTED, replace(UNDER_WAY, candidate="11"), known), RULE, NOW) is None


def test_an_agent_that_does_not_exist_has_no_limit_to_meet() -> None:
    assert make_room(DecisionInput(WANTED, replace(UNDER_WAY, candidate=None), observed(None)), RULE, NOW) is None


def test_it_prunes_before_it_creates() -> None:
    known = observed(agent(TO_1), listed(*[9.0] * 9))
    inputs = DecisionInput(WANTED, replace(UNDER_WAY, candidate=None), known)
    assert isinstance(next_action(inputs, RULE, NOW), PruneForRoom)


@pytest.mark.parametrize(
    ("numbers", "text"), [([1], "KEPT_YOUNG 1"), ([1, 2, 3, 5], "KEPT_YOUNG 1-3 5"), ([1, 3, 4], "KEPT_YOUNG 1 3-4")]
)
def test_neighbours_are_joined_to_a_range(numbers: list[int], text: str) -> None:
    assert kept_because([Keep(version(str(n)), Reason.KEPT_YOUNG) for n in numbers]) == text
