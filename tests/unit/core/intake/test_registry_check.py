"""What the registry says that an agent should run."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from core.agents_file.spec import AgentSpec
from core.image_manifest import RegistryTag
from core.intake.registry_check import EVENT_ID, apply_recent_tags, find_correction, still_undecided
from core.model import Push
from core.reasons import Reason
from core.state.desired import DesiredState

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
PUSH = Push("agents/hello", f"sha256:{'a' * 64}", "v1", NOW, "event-1")
SPEC = AgentSpec.model_validate({"name": "hello-agent", "repository": "agents/hello"})


def test_a_repository_that_the_agent_no_longer_follows_is_not_compared() -> None:
    desired = DesiredState(1, 1, replace(PUSH, repository="agents/former"))
    assert find_correction(SPEC, desired, []) is None
    found = find_correction(SPEC, desired, [RegistryTag("v1", PUSH.digest, NOW - timedelta(days=9))])
    assert found is not None
    assert (found.push.repository, found.reason) == ("agents/hello", Reason.TAG_MOVED)


def test_an_older_answer_of_another_replica_displaces_no_newer_one() -> None:
    older = [RegistryTag("v1", f"sha256:{'b' * 64}", NOW - timedelta(seconds=9))]
    assert find_correction(SPEC, DesiredState(1, 1, replace(PUSH, event_id=EVENT_ID)), older) is None
    found = find_correction(SPEC, DesiredState(1, 1, PUSH), older)
    assert found is not None
    assert found.reason is Reason.TAG_MOVED


def recent(desired: DesiredState, *tags: RegistryTag, order: str = "pushed") -> Reason:
    spec = AgentSpec.model_validate({"name": "hello-agent", "repository": "agents/hello", "tags": {"order": order}})
    return apply_recent_tags(desired, spec, tags, NOW).reason


def tag(name: str, age: timedelta, letter: str = "b") -> RegistryTag:
    return RegistryTag(name, f"sha256:{letter * 64}", NOW - age)


def test_a_push_whose_event_may_still_come_is_left_to_its_event() -> None:
    desired = DesiredState(1, 1, replace(PUSH, pushed_at=NOW - timedelta(hours=1)))
    assert recent(desired, tag("v2", timedelta(seconds=119))) is Reason.NOT_NEWER
    assert recent(desired, tag("v2", timedelta(seconds=120))) is Reason.MISSED_PUSH_FOUND
    assert recent(desired, tag("v2", timedelta(minutes=-9))) is Reason.MISSED_PUSH_FOUND, (
        "the registry's clock is ahead"
    )


def test_the_last_pushed_tags_do_not_decide_where_an_older_tag_may_be_newer() -> None:
    found = tag("1.0.1", timedelta(hours=1))
    assert recent(DesiredState(), found) is Reason.MISSED_PUSH_FOUND
    assert recent(DesiredState(), found, order="semver") is Reason.NOT_NEWER
    unfollowed = DesiredState(1, 1, replace(PUSH, tag="latest"))
    assert recent(unfollowed, found, order="semver") is Reason.NOT_NEWER
    followed = DesiredState(1, 1, replace(PUSH, tag="1.0.0", pushed_at=NOW - timedelta(hours=2)))
    assert recent(followed, found, order="semver") is Reason.MISSED_PUSH_FOUND
    elsewhere = DesiredState(1, 1, replace(PUSH, tag="1.0.0", repository="agents/former"))
    assert recent(elsewhere, found, order="semver") is Reason.NOT_NEWER


def test_a_listing_ends_once_every_agent_that_follows_the_last_push_has_an_allowed_tag() -> None:
    other: dict[str, object] = {"name": "b", "repository": "agents/hello"}
    strict = AgentSpec.model_validate(other | {"tags": {"allow": ["^v"]}})
    by_version = AgentSpec.model_validate(other | {"tags": {"order": "semver"}})
    page = [tag("latest", timedelta(hours=1))]
    assert still_undecided([SPEC, strict, by_version], page) == [strict, by_version]
    assert still_undecided([strict], [tag("v2", timedelta(hours=2))]) == []
