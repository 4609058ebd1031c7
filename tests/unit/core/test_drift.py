"""Drift is every difference from the last release, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.definition import definition_parts, plain_parts
from core.drift import find_drift, find_gone_images, images_to_look_for, is_watched, serves_another
from core.image_manifest import ImageFacts
from core.model import Agent, Definition, Routing, SecretValue, Status, TrafficRule, Version
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


DEFINITION = Definition(
    "demo.azurecr.io/a@sha256:1",
    "1",
    "2Gi",
    (("responses", "2.0.0"),),
    {"UPSTREAM": "https://a", "KEY": SecretValue("k")},
)


def released_as(definition: Definition, environment: dict[str, str], **changes: Any) -> dict[str, str]:
    """The drift of a live version that Foundry shows with another definition than it was released with."""
    assert RELEASE.last_good is not None
    good = replace(RELEASE.last_good, parts=plain_parts(definition))
    shown = replace(
        DEFINITION, environment={name: SecretValue(value) for name, value in environment.items()}, **changes
    )
    live = replace(LIVE, image=shown.image, parts=definition_parts(shown))
    return find_drift(replace(RELEASE, last_good=good), AGENT, live)


SAME = {"UPSTREAM": "https://a", "KEY": "k"}


@pytest.mark.parametrize(
    ("environment", "changes", "names"),
    [
        pytest.param(SAME, {}, "", id="the same"),
        pytest.param({**SAME, "KEY": "rotated"}, {}, "", id="a secret is not compared: its hash is not stored"),
        pytest.param({**SAME, "FOUNDRY_X": "1"}, {}, "", id="a variable of the platform"),
        pytest.param({**SAME, "UPSTREAM": "https://evil"}, {}, "variable UPSTREAM", id="a value"),
        pytest.param({**SAME, "MORE": "1"}, {}, "variable MORE", id="one more variable"),
        pytest.param({"UPSTREAM": "https://a"}, {}, "variable KEY", id="no secret"),
        pytest.param(SAME, {"cpu": "2", "memory": "4Gi"}, "cpu, memory", id="another size"),
        pytest.param(SAME, {"image": "evil.azurecr.io/a@sha256:2"}, "image", id="another image"),
    ],
)
def test_a_live_version_is_compared_by_its_definition(
    environment: dict[str, str], changes: dict[str, Any], names: str
) -> None:
    drift = released_as(DEFINITION, environment, **changes)
    expected = {f"definition {names}": f"version 1 is not as Slipway released it: {names}"} if names else {}
    assert drift == expected


def test_a_version_whose_definition_is_not_known_is_not_compared() -> None:
    assert released_as(Definition("x", "", "", (), {"UPSTREAM": ""}), SAME) == {}


def test_no_hash_of_a_secret_is_stored() -> None:
    parts = dict(plain_parts(DEFINITION))
    assert parts["variable KEY"] == ""
    assert parts["variable UPSTREAM"] == definition_parts(DEFINITION)["variable UPSTREAM"]


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


@pytest.mark.parametrize(
    ("changes", "elsewhere"),
    [
        pytest.param({}, False, id="as Slipway left it"),
        pytest.param({"expected_routing": Routing.to("2")}, True, id="accepted by a release that failed"),
        pytest.param({"expected_routing": SPLIT}, True, id="split"),
        pytest.param({"expected_routing": Routing()}, False, id="the newest version, of an agent that was adopted"),
        pytest.param({"expected_routing": None}, False, id="unknown"),
        pytest.param({"last_good": None, "expected_routing": Routing.to("2")}, False, id="nothing is good"),
        pytest.param({"phase": Phase.STARTED, "routing_at_start": Routing.to("2")}, True, id="found by a release"),
        pytest.param(
            {"phase": Phase.TRAFFIC_MOVED, "routing_at_start": Routing.to("1"), "expected_routing": Routing.to("2")},
            False,
            id="a release moves it",
        ),
    ],
)
def test_the_good_version_does_not_serve_where_another_routing_was_accepted(
    changes: dict[str, Any], elsewhere: bool
) -> None:
    assert serves_another(replace(RELEASE, **changes)) is elsewhere
