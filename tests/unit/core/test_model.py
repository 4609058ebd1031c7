"""The shared values, and the comparison of an active candidate with its request."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from core.agents_file.fields import parse_duration
from core.model import Agent, Routing, SecretValue, Status, TrafficRule, Version
from core.release import transitions
from core.release.actions import EndRelease, NeedsRead, Poll, Read, UpdateState
from core.release.gates.confirm import after_confirm
from core.release.inputs import DecisionInput, Observed
from core.state.desired import DesiredState
from core.state.release import Phase, ReleaseState, WriteKind

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
IMAGE = "demo.azurecr.io/agents/hello@sha256:0"
VERSION = Version("2", Status.ACTIVE, NOW, IMAGE, frozenset({"MODE"}))


@pytest.mark.parametrize(
    ("routing", "follows", "pinned"),
    [
        pytest.param(Routing(), True, None, id="no rule"),
        pytest.param(Routing((TrafficRule("@latest", 100),)), True, None, id="latest by name"),
        pytest.param(Routing.to("2"), False, "2", id="one version"),
        pytest.param(Routing((TrafficRule("1", 90), TrafficRule("2", 10))), False, None, id="a split"),
        pytest.param(Routing((TrafficRule("1", 90),)), False, None, id="less than 100 %"),
    ],
)
def test_routing_gives_the_version_of_new_sessions(routing: Routing, follows: bool, pinned: str | None) -> None:
    assert (routing.follows_latest, routing.pinned) == (follows, pinned)
    agent = Agent("hello", True, routing, VERSION)
    assert agent.live == ("2" if follows else pinned)
    assert routing.routes_to("2") is any(rule.version == "2" for rule in routing.rules)


def test_an_agent_without_versions_has_no_live_version() -> None:
    assert Agent("hello", True, Routing(), None).live is None


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        pytest.param(VERSION, None, id="as requested"),
        pytest.param(
            replace(VERSION, variables=frozenset({"MODE", "FOUNDRY_AGENT_NAME"})), None, id="the platform's own"
        ),
        pytest.param(replace(VERSION, image="other"), f"image other instead of {IMAGE}", id="another image"),
        pytest.param(replace(VERSION, variables=frozenset()), "variables MODE differ", id="a variable is missing"),
    ],
)
def test_an_active_candidate_is_compared_with_the_request(version: Version, expected: str | None) -> None:
    action = after_confirm(ReleaseState(image=IMAGE, variables=frozenset({"MODE"})), version, NOW)
    if expected is None:
        assert isinstance(action, UpdateState)
        assert action.state.phase is Phase.CONFIRMED
    else:
        assert isinstance(action, EndRelease)
        assert action.detail == expected


@pytest.mark.parametrize("version", [None, replace(VERSION, status=Status.CREATING)])
def test_a_candidate_that_is_not_active_twice_is_polled_again(version: Version | None) -> None:
    assert isinstance(after_confirm(ReleaseState(), version, NOW), Poll)


def test_a_release_with_a_pending_write_is_open() -> None:
    assert ReleaseState().blob_state == "ended"
    assert ReleaseState(phase=Phase.STARTED).blob_state == "open"
    assert transitions.writing(ReleaseState(), WriteKind.PIN, NOW, routing=Routing.to("1")).blob_state == "open"
    assert transitions.in_phase(ReleaseState(), Phase.CONFIRMED).phase is Phase.CONFIRMED


def test_a_parsed_duration_stays_the_same() -> None:
    assert parse_duration(parse_duration("1d2h3m4s")) == parse_duration("1d2h3m4s")


def test_versions_are_added_and_removed_one_by_one() -> None:
    facts = Observed().with_version("2", VERSION).with_version("3", None)
    assert facts.without_version("3").versions == {"2": VERSION}


def test_what_was_not_read_is_needed_and_an_absent_agent_has_no_versions() -> None:
    inputs = DecisionInput(DesiredState(), ReleaseState())
    assert inputs.needs(Read.AGENT, Read.VERSION_LIST) == NeedsRead(frozenset({Read.AGENT, Read.VERSION_LIST}))
    absent = replace(inputs, observed=Observed().with_agent(None))
    assert absent.needs(Read.AGENT, Read.VERSION_LIST) is None
    assert absent.needs_version("2") == NeedsRead(version="2")


def test_a_secret_value_equals_only_a_secret_value() -> None:
    assert SecretValue("a") != "a"
    assert SecretValue("a").reveal() == "a"
