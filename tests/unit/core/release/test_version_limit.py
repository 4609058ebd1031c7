"""Prunes before a create where the agent is near its version limit."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from core.agents_file.spec import AgentSpec
from core.image_manifest import RegistryTag
from core.model import Agent, Version
from core.prune.retention import Keep
from core.reasons import Reason
from core.release.actions import Action, EndRelease, NeedsRead, PruneForRoom, Read
from core.release.decide import next_action
from core.release.inputs import DecisionInput, Observed
from core.release.rules_version_limit import kept_because, make_room
from tests.unit.core.release.test_decide import DESIRED, NOW, RESOLVED, STARTED, TO_1, agent, version

SPEC = AgentSpec.model_validate(
    {"name": "hello-agent", "repository": "agents/hello", "keep": {"newest": 0, "limit": 10, "min_age": "1d"}}
)


def aged(*days: float) -> tuple[Version, ...]:
    """Versions 1, 2, 3 … of these ages in days; version 1 is live."""
    return tuple(
        version(str(number), fingerprint=f"fp-old-{number}", created_at=NOW - timedelta(days=age))
        for number, age in enumerate(days, 1)
    )


def read_all(
    found: Agent | None, versions: tuple[Version, ...] = (), tried: dict[str, Reason] | None = None
) -> Observed:
    return Observed(frozenset(Read), found, versions, release_definition=RESOLVED, prune_results=tried or {})


def decide(versions: tuple[Version, ...], tried: dict[str, Reason] | None = None, **changes: object) -> Action | None:
    observed = read_all(agent(TO_1), versions, tried)
    release = replace(STARTED, candidate=None, last_good=None, **changes)  # type: ignore[arg-type]
    return make_room(DecisionInput(DESIRED, release, observed), SPEC, NOW)


def deletions(action: Action | None) -> list[str]:
    assert isinstance(action, PruneForRoom)
    return [deletion.version.number for deletion in action.deletions]


def test_up_to_eighty_percent_of_the_limit_nothing_is_pruned() -> None:
    assert decide(aged(*[9.0] * 8)) is None


def test_above_eighty_percent_stale_versions_are_pruned() -> None:
    assert deletions(decide(aged(*[9.0] * 9))) == [str(n) for n in range(2, 10)]


def test_young_versions_are_pruned_down_to_eighty_percent() -> None:
    assert deletions(decide(aged(*[0.1] * 9))) == ["2"]


def test_a_release_prunes_once_and_creates_even_if_the_limit_stays_near() -> None:
    assert decide(aged(*[9.0] * 9), {"2": Reason.SESSIONS_ACTIVE}) is None


def test_at_the_limit_pruning_goes_on_until_no_version_is_left_to_try() -> None:
    tried = {str(n): Reason.SESSIONS_ACTIVE for n in range(2, 10)}
    assert deletions(decide(aged(*[9.0] * 10), tried)) == ["10"]
    action = decide(aged(*[9.0] * 10), tried | {"10": Reason.SESSIONS_ACTIVE})
    assert isinstance(action, EndRelease)
    assert (action.reason, action.detail) == (
        Reason.VERSION_LIMIT,
        "10 of 10 versions: KEPT_LIVE 1, SESSIONS_ACTIVE 2-10",
    )


def test_a_deleted_version_that_the_list_still_names_does_not_count() -> None:
    assert decide(aged(*[9.0] * 10), {str(n): Reason.PRUNED_STALE for n in range(2, 10)}) is None


def test_a_release_with_a_candidate_prunes_nothing() -> None:
    observed = read_all(agent(TO_1), aged(*[9.0] * 10))
    assert make_room(DecisionInput(DESIRED, replace(STARTED, candidate="11"), observed), SPEC, NOW) is None


def test_an_agent_that_does_not_exist_is_not_near_its_limit() -> None:
    assert make_room(DecisionInput(DESIRED, replace(STARTED, candidate=None), read_all(None)), SPEC, NOW) is None


def test_a_release_prunes_before_it_creates() -> None:
    observed = read_all(agent(TO_1), aged(*[9.0] * 9))
    inputs = DecisionInput(DESIRED, replace(STARTED, candidate=None), observed)
    assert isinstance(next_action(inputs, SPEC, NOW), PruneForRoom)


@pytest.mark.parametrize(
    ("numbers", "text"), [([1], "KEPT_YOUNG 1"), ([1, 2, 3, 5], "KEPT_YOUNG 1-3 5"), ([1, 3, 4], "KEPT_YOUNG 1 3-4")]
)
def test_consecutive_numbers_are_joined_to_a_range(numbers: list[int], text: str) -> None:
    assert kept_because([Keep(version(str(number)), Reason.KEPT_YOUNG) for number in numbers]) == text


def test_versions_whose_image_has_a_kept_tag_in_the_registry_stay_and_the_tags_are_read_only_then() -> None:
    digest = f"sha256:{'7' * 64}"
    versions = tuple(replace(item, image=f"demo.azurecr.io/agents/hello@{digest}") for item in aged(*[9.0] * 9)[:2])
    versions += aged(*[9.0] * 9)[2:]
    spec = SPEC.model_copy(update={"keep": SPEC.keep.model_copy(update={"tags": ("^keep-",)})})
    release = replace(STARTED, candidate=None, last_good=None)

    def deleted(observed: Observed) -> list[str]:
        return deletions(make_room(DecisionInput(DESIRED, release, observed), spec, NOW))

    unread = replace(read_all(agent(TO_1), versions), reads=frozenset(Read) - {Read.ALL_TAGS})
    assert make_room(DecisionInput(DESIRED, release, unread), spec, NOW) == NeedsRead(frozenset({Read.ALL_TAGS}))
    tags = (RegistryTag("keep-1", digest, NOW),)
    assert "2" not in deleted(replace(read_all(agent(TO_1), versions), all_tags=tags))
    assert "2" in deleted(replace(read_all(agent(TO_1), versions), all_tags=()))
    refused = make_room(DecisionInput(DESIRED, release, read_all(agent(TO_1), versions)), spec, NOW)
    assert "2" in deletions(refused), "near the limit the oldest goes, whatever its tags"
