"""Drift is every difference from the last release, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.drift import find_drift, find_gone_images, images_to_look_for, is_watched
from core.image_manifest import ImageFacts
from core.model import Agent, Routing, Status, TrafficRule, Version
from core.state.release import PendingWrite, Phase, ReleaseState, WriteKind
from core.timing import CONSISTENCY_LAG
from tests.unit.core.release.test_decide import NOW, SERVING, version

LIVE = version("1")
AGENT = Agent("hello-agent", True, Routing.to("1"), LIVE, "identity-1")
RELEASE = replace(SERVING, identity="identity-1")
SPLIT = Routing((TrafficRule("1", 90), TrafficRule("2", 10)))
CHANGES = [
    pytest.param(None, None, ["agent gone"], id="no agent"),
    pytest.param(AGENT, LIVE, [], id="nothing"),
    pytest.param(replace(AGENT, routing=SPLIT), LIVE, ["routing 1 at 90 %, 2 at 10 %"], id="split by a person"),
    pytest.param(replace(AGENT, routing=Routing()), LIVE, ["routing the newest version"], id="unpinned"),
    pytest.param(AGENT, None, ["version 1 gone"], id="the live version was deleted"),
    pytest.param(AGENT, replace(LIVE, status=Status.FAILED), ["version 1 failed"], id="the live version failed"),
    pytest.param(replace(AGENT, identity="identity-2"), LIVE, ["identity identity-2"], id="another identity"),
    pytest.param(replace(AGENT, identity=None), LIVE, [], id="an unknown identity"),
    pytest.param(replace(AGENT, enabled=False), LIVE, ["disabled"], id="disabled"),
]


@pytest.mark.parametrize(("agent", "live", "names"), CHANGES)
def test_each_difference_has_a_name_and_a_text(agent: Agent | None, live: Version | None, names: list[str]) -> None:
    drift = find_drift(RELEASE, agent, live)
    assert list(drift) == names
    assert all(drift.values())


def test_an_agent_without_a_release_has_no_drift() -> None:
    assert find_drift(ReleaseState(), AGENT, LIVE) == {}


def test_only_an_agent_with_a_good_version_and_no_open_release_is_watched() -> None:
    assert is_watched(RELEASE, NOW)
    assert not is_watched(ReleaseState(), NOW)
    assert not is_watched(replace(RELEASE, phase=Phase.STARTED), NOW)
    assert not is_watched(replace(RELEASE, pending_write=PendingWrite(WriteKind.PIN, NOW)), NOW)


def test_a_stale_read_after_our_own_write_is_not_drift() -> None:
    moved = replace(RELEASE, routed_at=NOW)
    assert not is_watched(moved, NOW + CONSISTENCY_LAG / 2)
    assert is_watched(moved, NOW + CONSISTENCY_LAG)


def test_the_images_of_the_live_and_the_previous_version_are_looked_for_where_the_registry_had_them() -> None:
    assert SERVING.last_good is not None
    previous = replace(SERVING.last_good, push=replace(SERVING.last_good.push, digest="sha256:0"), version="8")
    digest = SERVING.last_good.push.digest
    both = replace(SERVING, previous_good=previous, image_facts={digest: ImageFacts(), "sha256:0": ImageFacts()})
    repository = previous.push.repository
    assert images_to_look_for(both) == ((repository, digest), (repository, "sha256:0"))
    assert images_to_look_for(SERVING) == ()
    gone = find_gone_images(both, {"sha256:0"})
    assert list(gone) == ["image sha256:0"]
    assert gone["image sha256:0"].startswith("IMAGE_GONE: the registry does not have the image of version 8")
    assert find_gone_images(both, ()) == {}
