"""A person's way back: an earlier version as it is, whatever the rule says today."""

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
from handlers import user_commands as saying
from handlers.gateways.errors import PermanentError
from tests.support.app import AGENT, App

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
OLD, NEW = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"


def version(number: str, digest: str = OLD, **changes: object) -> Version:
    image = f"demo.azurecr.io/agents/hello@{digest}"
    made = Version(number, Status.ACTIVE, NOW, image, frozenset(), {FINGERPRINT: f"fp-{number}"})
    return replace(made, **changes)  # type: ignore[arg-type]


AGENTS = Agent("a", True, Routing.to("2"), version("2", NEW))
PUSHED = Push("agents/hello", NEW, "v2", NOW, "event-2")
RECORD = ReleaseState(
    last_good=GoodVersion(PUSHED, "fp-2", "2"), previous_good=GoodVersion(replace(PUSHED, digest=OLD), "fp-1", "1")
)
BOTH = (version("1"), version("2", NEW))


def test_it_goes_to_what_was_good_before_what_serves() -> None:
    assert rollback_target(RECORD, AGENTS, BOTH, None) == BOTH[0]
    elsewhere = replace(AGENTS, routing=Routing.to("1"))
    assert rollback_target(RECORD, elsewhere, BOTH, None) == BOTH[1], "somebody moved the traffic: back to what is good"


@pytest.mark.parametrize(
    ("agent", "versions", "to", "why"),
    [
        pytest.param(None, BOTH, None, "does not exist", id="no agent"),
        pytest.param(AGENTS, BOTH, "7", "version 7 does not exist; the versions are: 1, 2", id="no version"),
        pytest.param(AGENTS, (), "7", "the versions are: none", id="none at all"),
        pytest.param(AGENTS, BOTH, "2", "is live already", id="the same"),
        pytest.param(AGENTS, (version("1", status=Status.FAILED), BOTH[1]), "1", "is failed", id="failed"),
        pytest.param(AGENTS, (version("1", image="x/y:v1"), BOTH[1]), "1", "by digest", id="a tag alone"),
    ],
)
def test_there_is_none(agent: Agent | None, versions: tuple[Version, ...], to: str | None, why: str) -> None:
    refused = rollback_target(RECORD, agent, versions, to)
    assert isinstance(refused, NoRollback)
    assert why in refused.detail


def test_nothing_was_good_before() -> None:
    alone = ReleaseState(last_good=RECORD.last_good)
    assert rollback_target(alone, AGENTS, BOTH, None) == NoRollback("no version was good before the live one")


def test_what_served_is_held_by_its_image_and_the_push_it_was_made_of_stays_known() -> None:
    noted = request_rollback(DesiredState(generation=4, push=PUSHED), BOTH[0], BOTH[1], "it lies", "ann", NOW)
    assert (noted.reason, noted.enqueues) == (Reason.ROLLBACK_REQUESTED, True)
    desired = noted.desired
    assert [(one.digest, one.detail) for one in desired.holds] == [(NEW, "it lies")]
    assert (desired.push, desired.newest_push) == (push_of_version(BOTH[0]), PUSHED)
    assert desired.rollback is not None
    assert (desired.rollback.version, desired.rollback.generation) == ("1", 5)


def test_of_two_versions_of_one_image_the_definition_alone_is_held() -> None:
    noted = request_rollback(DesiredState(), BOTH[0], version("2", OLD), "why", "ann", NOW)
    assert [(one.digest, one.fingerprint) for one in noted.desired.holds] == [("", "fp-2")]
    nothing = request_rollback(DesiredState(), BOTH[0], None, "why", "ann", NOW)
    assert nothing.desired.holds == ()


async def test_the_version_serves_again_as_it_is_though_the_secret_was_rotated_and_the_agent_is_paused() -> None:
    app = App()
    await app.pushed()
    await app.released()
    app.clock.passed += 100
    await app.pushed("v2", "b")
    assert await app.released() == "LIVE"
    app.key_vault.put("hello-key", "another")
    await saying.pause((AGENT,), "an incident", "ann", app.gateways)
    noted = await saying.request_rollback(AGENT, "it lies", "ann", app.gateways)
    assert noted.reason is Reason.ROLLBACK_REQUESTED
    assert await app.released() == "LIVE"
    assert (await app.live(), app.foundry.create_count) == ("1", 2)
    await saying.unpause((AGENT,), "ann", app.gateways)
    app.clock.passed += 100
    await app.pushed("again", "b")
    assert await app.released() == "LIVE"
    (serves,) = [one for one in await app.foundry.list_versions(AGENT) if one.number == await app.live()]
    assert serves.image.endswith("a" * 64), "what is held does not come back under another tag; what is good is renewed"
    await app.pushed("v3", "c")
    assert await app.released() == "LIVE"
    assert await app.live() == "4"


async def test_what_is_not_there_any_more_ends_the_rollback() -> None:
    app = App()
    await app.pushed()
    await app.released()
    app.clock.passed += 100
    await app.pushed("v2", "b")
    await app.released()
    assert (await saying.request_rollback(AGENT, "why", "ann", app.gateways, "9")).reason is Reason.NO_ROLLBACK_VERSION
    await saying.request_rollback(AGENT, "why", "ann", app.gateways)
    await app.foundry.delete_version(AGENT, "1")
    assert await app.released() == "CANDIDATE_GONE"
    assert await app.live() == "2"


async def test_an_agent_that_ran_before_is_taken_over_and_its_version_is_the_way_back() -> None:
    app = App()
    await app.pushed()
    await app.released()
    told = await app.foundry.get_agent(AGENT)
    (serves,) = await app.foundry.list_versions(AGENT)
    assert told is not None
    strange = App()
    strange.foundry = app.foundry
    strange.gateways = replace(strange.gateways, foundry=app.foundry, clock=app.clock)
    app.foundry.agents[AGENT].versions["1"] = foreign = replace(serves, metadata={})
    push = push_of_version(foreign)
    assert push is not None
    rule = load_agents(b"agents: {hello-agent: {repository: agents/hello}}").agents[AGENT]
    assert (await saying.adopt(rule, told, foreign, push, "ann", strange.gateways)).reason is Reason.AGENT_ADOPTED
    with pytest.raises(PermanentError, match="manages the agent already"):
        await saying.adopt(rule, told, foreign, push, "ann", strange.gateways)
    app.gateways = strange.gateways
    app.state_store = strange.state_store
    app.clock.passed += 100
    await app.pushed("v2", "b")
    assert await app.released() == "LIVE"
    assert await app.live() == "2"
    app.clock.passed += timedelta(minutes=5).total_seconds()
    await saying.request_rollback(AGENT, "why", "ann", app.gateways)
    assert await app.released() == "LIVE"
    assert await app.live() == "1"
