"""A rollback that a person requests: an earlier version gets the traffic unchanged, whatever agents.yaml says now."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from core.agents_file.loader import load_agents
from core.definition import FINGERPRINT, push_of_version
from core.intake.user_commands import NoRollback, request_rollback, rollback_target
from core.model import Agent, Push, Routing, Status, Version
from core.reasons import Reason
from core.state.desired import DesiredState
from core.state.release import GoodVersion, ReleaseState
from handlers import user_commands
from handlers.gateways.errors import PermanentError
from tests.support.app import AGENT, App

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
OLD, NEW = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"


def version(number: str, digest: str = OLD, **changes: object) -> Version:
    image = f"demo.azurecr.io/agents/hello@{digest}"
    made = Version(number, Status.ACTIVE, NOW, image, frozenset(), {FINGERPRINT: f"fp-{number}"})
    return replace(made, **changes)  # type: ignore[arg-type]


LIVE_AT_2 = Agent("a", True, Routing.to("2"), version("2", NEW))
PUSHED = Push("agents/hello", NEW, "v2", NOW, "event-2")
RELEASE = ReleaseState(
    last_good=GoodVersion(PUSHED, "fp-2", "2"), previous_good=GoodVersion(replace(PUSHED, digest=OLD), "fp-1", "1")
)
BOTH = (version("1"), version("2", NEW))


def test_the_target_is_the_good_version_before_the_live_version() -> None:
    assert rollback_target(RELEASE, LIVE_AT_2, BOTH, None) == BOTH[0]
    moved = replace(LIVE_AT_2, routing=Routing.to("1"))
    assert rollback_target(RELEASE, moved, BOTH, None) == BOTH[1], (
        "somebody moved the traffic: back to the last good version"
    )


@pytest.mark.parametrize(
    ("agent", "versions", "to", "detail"),
    [
        pytest.param(None, BOTH, None, "does not exist", id="no agent"),
        pytest.param(LIVE_AT_2, BOTH, "7", "version 7 does not exist; the versions are: 1, 2", id="no version"),
        pytest.param(LIVE_AT_2, (), "7", "the versions are: none", id="no versions"),
        pytest.param(LIVE_AT_2, BOTH, "2", "is live already", id="the live version"),
        pytest.param(LIVE_AT_2, (version("1", status=Status.FAILED), BOTH[1]), "1", "is failed", id="a failed version"),
        pytest.param(
            LIVE_AT_2, (version("1", image="x/y:v1"), BOTH[1]), "1", "by digest", id="an image without a digest"
        ),
    ],
)
def test_a_rollback_without_a_target_is_rejected(
    agent: Agent | None, versions: tuple[Version, ...], to: str | None, detail: str
) -> None:
    refused = rollback_target(RELEASE, agent, versions, to)
    assert isinstance(refused, NoRollback)
    assert detail in refused.detail


def test_a_first_good_version_has_no_rollback_target() -> None:
    release = ReleaseState(last_good=RELEASE.last_good)
    assert rollback_target(release, LIVE_AT_2, BOTH, None) == NoRollback("no version was good before the live one")


def test_the_image_of_the_live_version_is_held_and_the_newest_push_is_kept() -> None:
    update = request_rollback(DesiredState(generation=4, push=PUSHED), BOTH[0], BOTH[1], "it lies", "ann", NOW)
    assert (update.reason, update.enqueues) == (Reason.ROLLBACK_REQUESTED, True)
    desired = update.desired
    assert [(hold.digest, hold.detail) for hold in desired.holds] == [(NEW, "it lies")]
    assert (desired.push, desired.newest_push) == (push_of_version(BOTH[0]), PUSHED)
    assert desired.rollback is not None
    assert (desired.rollback.version, desired.rollback.generation) == ("1", 5)


def test_if_both_versions_run_one_image_only_the_definition_is_held() -> None:
    update = request_rollback(DesiredState(), BOTH[0], version("2", OLD), "why", "ann", NOW)
    assert [(hold.digest, hold.fingerprint) for hold in update.desired.holds] == [("", "fp-2")]
    without_live = request_rollback(DesiredState(), BOTH[0], None, "why", "ann", NOW)
    assert without_live.desired.holds == ()


async def test_the_version_gets_the_traffic_unchanged_even_if_the_secret_was_rotated_and_the_agent_is_paused() -> None:
    app = App()
    await app.pushed()
    await app.released()
    app.clock.passed += 100
    await app.pushed("v2", "b")
    assert await app.released() == "LIVE"
    app.key_vault.put("hello-key", "another")
    await user_commands.pause((AGENT,), "an incident", "ann", app.gateways)
    update = await user_commands.request_rollback(AGENT, "it lies", "ann", app.gateways)
    assert update.reason is Reason.ROLLBACK_REQUESTED
    assert await app.released() == "LIVE"
    assert (await app.live(), app.foundry.create_count) == ("1", 2)
    await user_commands.unpause((AGENT,), "ann", app.gateways)
    app.clock.passed += 100
    await app.pushed("again", "b")
    assert await app.released() == "LIVE"
    live_version = await app.live()
    (live,) = [version for version in await app.foundry.list_versions(AGENT) if version.number == live_version]
    assert live.image.endswith("a" * 64), "a new tag does not release the held image; the last good image is renewed"
    await app.pushed("v3", "c")
    assert await app.released() == "LIVE"
    assert await app.live() == "4"


async def test_a_rollback_to_a_deleted_version_ends_with_a_reason() -> None:
    app = App()
    await app.pushed()
    await app.released()
    app.clock.passed += 100
    await app.pushed("v2", "b")
    await app.released()
    assert (
        await user_commands.request_rollback(AGENT, "why", "ann", app.gateways, "9")
    ).reason is Reason.NO_ROLLBACK_VERSION
    await user_commands.request_rollback(AGENT, "why", "ann", app.gateways)
    await app.foundry.delete_version(AGENT, "1")
    assert await app.released() == "CANDIDATE_GONE"
    assert await app.live() == "2"


async def test_an_existing_agent_is_adopted_and_its_version_is_the_rollback_target() -> None:
    app = App()
    await app.pushed()
    await app.released()
    agent = await app.foundry.get_agent(AGENT)
    (live,) = await app.foundry.list_versions(AGENT)
    assert agent is not None
    strange = App()
    strange.foundry = app.foundry
    strange.gateways = replace(strange.gateways, foundry=app.foundry, clock=app.clock)
    app.foundry.agents[AGENT].versions["1"] = foreign = replace(live, metadata={})
    push = push_of_version(foreign)
    assert push is not None
    spec = load_agents(b"agents: {hello-agent: {repository: agents/hello}}").agents[AGENT]
    assert (
        await user_commands.adopt(spec, agent, foreign, push, "ann", strange.gateways)
    ).reason is Reason.AGENT_ADOPTED
    with pytest.raises(PermanentError, match="manages the agent already"):
        await user_commands.adopt(spec, agent, foreign, push, "ann", strange.gateways)
    app.gateways = strange.gateways
    app.state_store = strange.state_store
    app.clock.passed += 100
    await app.pushed("v2", "b")
    assert await app.released() == "LIVE"
    assert await app.live() == "2"
    app.clock.passed += timedelta(minutes=5).total_seconds()
    await user_commands.request_rollback(AGENT, "why", "ann", app.gateways)
    assert await app.released() == "LIVE"
    assert await app.live() == "1"
