"""A release that cannot hurt production, on fakes: verify, check, rollback, hold, approval, pause."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from core.agents_file.loader import load_agents
from core.image_manifest import ImageFacts, RegistryTag
from core.model import Answer, Failure, Routing
from core.reasons import Reason
from handlers import user_commands
from handlers.gateways.errors import GatewayError, PermanentError, TransientError
from handlers.resume_releases.run import resume_releases
from tests.simulation.virtual_time import VirtualClock, in_virtual_time
from tests.support.builders import secret_event
from tests.unit.handlers.test_handlers import AGENT, House

RULES = """
agents:
  hello-agent:
    repository: agents/hello
    env: {KEY: {secret: hello-key}}
    release: {debounce: 0s, %s}
"""
PROVEN = "verify: {ask: ping, expect: pong}, check: {ask: ping, expect: pong}"


def house_with(release: str = PROVEN) -> House:
    return House(clock=VirtualClock(), agents=load_agents((RULES % release).encode()))


async def rotate(house: House, value: str) -> None:
    secret = house.vault.put("hello-key", value)
    data = {"Id": f"https://demo-vault.vault.azure.net/secrets/hello-key/{secret.version}"}
    await house.event(secret_event(id=f"rotated-{value}", data=data))


async def live_house() -> House:
    """An agent whose version 1 is live and good."""
    made = house_with()
    await made.pushed("v1", "a")
    assert await made.released() == "LIVE"
    await made.clock.sleep(3600)
    return made


async def again(house: House, tag: str, letter: str) -> str:
    await house.pushed(tag, letter)
    return await house.released()


@in_virtual_time
async def test_a_version_that_answers_is_asked_before_and_after_it_has_traffic() -> None:
    house = await live_house()
    assert await again(house, "v2", "b") == "LIVE"
    assert house.foundry.probes[-2:] == [(AGENT, "2", True), (AGENT, "2", False)]
    assert house.journal.reasons()[-4:] == ["CONFIRM_PASSED", "VERIFY_PASSED", "TRAFFIC_MOVED", "LIVE"]
    assert not house.foundry.agents[AGENT].probe_sessions


@in_virtual_time
async def test_a_version_that_answers_wrongly_never_has_traffic() -> None:
    house = await live_house()
    house.foundry.answers["b" * 64] = "no idea"
    assert await again(house, "v2", "b") == "VERIFY_FAILED"
    assert await house.live() == "1"
    assert "TRAFFIC_MOVED" not in house.journal.reasons()[-3:]
    assert house.foundry.probes[-1] == (AGENT, "2", True)
    assert not house.foundry.agents[AGENT].probe_sessions


@in_virtual_time
async def test_a_version_that_fails_with_traffic_is_taken_back_and_held() -> None:
    house = await live_house()
    house.foundry.answers["b" * 64] = ("pong", Answer(200, "oops"))
    assert await again(house, "v2", "b") == "CHECK_FAILED"
    assert await house.live() == "1"
    assert house.journal.reasons()[-3:] == ["TRAFFIC_MOVED", "ROLLBACK", "CHECK_FAILED"]
    await house.clock.sleep(60)
    assert await again(house, "v2-again", "b") == "HELD"
    assert await house.live() == "1"
    assert house.foundry.create_count == 2
    assert await again(house, "v3", "c") == "LIVE"
    assert await house.live() == "3"


@in_virtual_time
async def test_a_first_version_that_fails_its_check_has_no_way_back() -> None:
    house = house_with()
    house.foundry.answers["a" * 64] = ("pong", "oops")
    assert await again(house, "v1", "a") == "CHECK_FAILED_NO_ROLLBACK_VERSION"
    assert (await house.ledger.get_release(AGENT)).holds


@in_virtual_time
async def test_a_hold_lasts_as_long_as_the_rule_says_and_begins_nothing_by_ending() -> None:
    house = await live_house()
    house.foundry.answers["b" * 64] = "no idea"
    await again(house, "v2", "b")
    await house.clock.sleep(timedelta(days=8).total_seconds())
    assert await house.released() == "VERIFY_FAILED"
    assert house.foundry.create_count == 2
    house.foundry.answers.clear()
    assert await again(house, "v2-again", "b") == "LIVE"


@in_virtual_time
async def test_while_an_image_is_held_a_rotated_secret_reaches_what_is_live() -> None:
    house = await live_house()
    house.foundry.answers["b" * 64] = "no idea"
    await again(house, "v2", "b")
    await rotate(house, "rotated-5e1d")
    assert await house.released() == "LIVE"
    live = await house.live()
    assert house.foundry.environment(AGENT, live or "")["KEY"] == "rotated-5e1d"
    assert "a" * 64 in house.foundry.agents[AGENT].versions[live or ""].image


@in_virtual_time
async def test_a_mended_secret_passes_where_a_broken_one_was_held() -> None:
    """The image serves with the older secret: only what was made of the broken one is held."""
    house = await live_house()
    house.foundry.answers["a" * 64] = "no idea"
    await rotate(house, "broken-1")
    assert await house.released() == "VERIFY_FAILED"
    house.foundry.answers.clear()
    await rotate(house, "mended-2")
    assert await house.released() == "LIVE"


@in_virtual_time
async def test_lifting_a_hold_tries_again() -> None:
    house = await live_house()
    house.foundry.answers["b" * 64] = "no idea"
    await again(house, "v2", "b")
    house.foundry.answers.clear()
    noted = await user_commands.unhold(AGENT, "ann", house.outside)
    assert noted.reason is Reason.HOLD_REMOVED
    assert await house.released() == "LIVE"
    assert await house.live() == "2"
    assert house.foundry.create_count == 2


@in_virtual_time
async def test_a_person_may_hold_and_release_what_they_like() -> None:
    house = await live_house()
    await user_commands.hold(AGENT, "freeze", "ann", house.outside, digest=f"sha256:{'b' * 64}")
    assert await again(house, "v2", "b") == "HELD"
    await user_commands.request_release(AGENT, "bob", house.outside)
    assert await house.released() == "LIVE"
    assert await house.live() == "2"


@in_virtual_time
async def test_a_manual_agent_waits_and_goes_on_after_approval() -> None:
    house = house_with("mode: manual, verify: {ask: ping, expect: pong}")
    assert await again(house, "v1", "a") == ""
    asked = len(house.foundry.probes)
    await house.released()
    assert house.journal.reasons().count("APPROVAL_WAITING") == 1
    assert len(house.foundry.probes) == asked
    refused = await user_commands.approve(AGENT, "ann", house.outside, version="7")
    assert refused.reason is Reason.NOTHING_TO_APPROVE
    await user_commands.approve(AGENT, "ann", house.outside)
    assert await house.released() == "LIVE"


@in_virtual_time
async def test_an_approval_dies_with_its_version() -> None:
    house = house_with("mode: manual")
    await again(house, "v1", "a")
    await user_commands.approve(AGENT, "ann", house.outside)
    assert await house.released() == "LIVE"
    await house.clock.sleep(60)
    await again(house, "v2", "b")
    assert await house.live() == "1"
    assert house.journal.reasons()[-1] == "APPROVAL_WAITING"


@in_virtual_time
async def test_a_pause_stops_before_the_next_step_and_is_told_once() -> None:
    house = await live_house()
    await user_commands.pause((AGENT,), "freeze", "ann", house.outside)
    assert await again(house, "v2", "b") == "LIVE"
    await house.released()
    assert house.journal.reasons().count("PAUSED") == 2  # what ann said, and what it stopped
    assert await house.live() == "1"
    await user_commands.unpause((AGENT,), "ann", house.outside)
    assert await house.released() == "LIVE"
    assert await house.live() == "2"


@in_virtual_time
async def test_a_pause_ends_by_itself() -> None:
    house = await live_house()
    await user_commands.pause((AGENT,), "freeze", "ann", house.outside, until=house.clock.now() + timedelta(hours=1))
    await again(house, "v2", "b")
    await house.clock.sleep(3601)
    assert await house.released() == "LIVE"
    assert await house.live() == "2"


@in_virtual_time
async def test_a_notify_agent_says_what_it_would_do() -> None:
    house = house_with("mode: notify")
    assert await again(house, "v1", "a") == "WOULD_RELEASE"
    assert house.foundry.create_count == 0


@in_virtual_time
async def test_a_candidate_deleted_while_it_is_verified_ends_with_a_reason() -> None:
    house = await live_house()

    def delete() -> None:
        house.foundry.agents[AGENT].versions.pop("2", None)

    house.foundry.before_answer = delete
    assert await again(house, "v2", "b") == "VERIFY_FAILED"
    assert await house.live() == "1"


@in_virtual_time
async def test_a_live_version_that_turns_failed_is_no_way_back() -> None:
    house = await live_house()
    versions = house.foundry.agents[AGENT].versions

    def fail() -> None:
        versions["1"] = replace(versions["1"], failure=Failure("ProvisioningError", "gone bad"))

    house.foundry.before_answer = fail
    house.foundry.answers["b" * 64] = ("pong", "oops")
    assert await again(house, "v2", "b") == "CHECK_FAILED_NO_ROLLBACK_VERSION"
    assert await house.live() == "2"


@in_virtual_time
async def test_a_person_who_moves_the_traffic_during_the_check_is_not_overruled() -> None:
    house = await live_house()
    agent = house.foundry.agents[AGENT]

    def move() -> None:
        if agent.routing == Routing.to("2"):
            agent.routing = Routing.to("1")

    house.foundry.before_answer = move
    house.foundry.answers["b" * 64] = ("pong", "oops")
    assert await again(house, "v2", "b") == "ROUTING_CHANGED"
    assert await house.live() == "1"
    assert "ROLLBACK" not in house.journal.reasons()


@in_virtual_time
async def test_a_version_whose_proof_takes_long_keeps_its_lease() -> None:
    house = await live_house()
    house.foundry.answers["b" * 64] = (Answer(503), "pong")
    began = house.clock.monotonic()
    assert await again(house, "v2", "b") == "VERIFY_FAILED"
    assert house.clock.monotonic() - began > 60


WRONG = ImageFacts("WRONG_PLATFORM", "linux/amd64 is needed; there is linux/arm64")
REPOSITORY = "agents/hello"


def inspected(inspect: str) -> House:
    """A first push under a rule of inspection; what the registry says is arranged before."""
    return House(clock=VirtualClock(), agents=load_agents(INSPECTED % {b"inspect": inspect.encode()}))


INSPECTED = b"""
agents:
  hello-agent:
    repository: agents/hello
    inspect: %(inspect)s
    image: amd64
"""


@in_virtual_time
async def test_what_does_not_run_is_refused_before_anything_is_made() -> None:
    house = inspected("best-effort")
    house.images.images[REPOSITORY, f"sha256:{'a' * 64}"] = WRONG
    assert await again(house, "v1", "a") == "WRONG_PLATFORM"
    assert house.foundry.create_count == 0
    assert (await house.ledger.get_release(AGENT)).detail == WRONG.detail


@in_virtual_time
async def test_the_registry_is_asked_once_for_a_digest_and_the_child_is_deployed() -> None:
    house = inspected("best-effort")
    child = f"sha256:{'9' * 64}"
    house.images.images[REPOSITORY, f"sha256:{'a' * 64}"] = ImageFacts(amd64=child)
    assert await again(house, "v1", "a") == "LIVE"
    await house.clock.sleep(60)
    assert await again(house, "stable", "a") == "ALREADY_LIVE"
    assert len(house.images.inspected) == 1
    assert house.foundry.agents[AGENT].versions["1"].image.endswith(child)


@in_virtual_time
async def test_a_rule_that_wants_no_inspection_asks_nothing() -> None:
    house = inspected("never")
    assert await again(house, "v1", "a") == "LIVE"
    assert house.images.inspected == []


UNREADABLE = [
    pytest.param(TransientError("registry", "503", "read"), "best-effort", "LIVE", id="down, best effort"),
    pytest.param(PermanentError("registry", "403", "read", status=403), "best-effort", "LIVE", id="403, best effort"),
    pytest.param(PermanentError("registry", "403", "read", status=403), "required", "IMAGE_UNREADABLE", id="403"),
    pytest.param(TransientError("registry", "503", "read"), "required", "", id="down: waited for"),
    pytest.param(None, "best-effort", "LIVE", id="gone, best effort: Foundry says so if it is"),
    pytest.param(None, "required", "IMAGE_GONE", id="gone"),
]


@pytest.mark.parametrize(("error", "inspect", "reason"), UNREADABLE)
@in_virtual_time
async def test_a_registry_that_does_not_answer_stops_only_who_needs_it(
    error: GatewayError | None, inspect: str, reason: str
) -> None:
    house = inspected(inspect)
    house.images.error = error
    assert await again(house, "v1", "a") == reason
    if not reason:
        assert house.journal.reasons()[-1] == "SERVICE_UNAVAILABLE"


@in_virtual_time
async def test_a_push_whose_event_never_came_is_caught_up_once_a_day() -> None:
    house = await live_house()
    at = house.clock.now()
    house.images.tags[REPOSITORY] = [
        RegistryTag("v2", f"sha256:{'b' * 64}", at),
        RegistryTag("v1", f"sha256:{'a' * 64}", at - timedelta(days=9)),
    ]
    await resume_releases(house.agents, house.outside)
    assert "MISSED_PUSH_FOUND" in house.journal.reasons()
    assert await house.released() == "LIVE"
    assert "b" * 64 in house.foundry.agents[AGENT].versions["2"].image
    asked = len(house.queue.sent)
    await house.clock.sleep(3600)
    await resume_releases(house.agents, house.outside)
    await house.clock.sleep(timedelta(days=1).total_seconds())
    await resume_releases(house.agents, house.outside)
    assert house.journal.reasons().count("MISSED_PUSH_FOUND") == 1
    assert len(house.queue.sent) == asked


@in_virtual_time
async def test_a_registry_that_does_not_list_is_told_and_stops_nothing() -> None:
    house = await live_house()
    house.images.error = PermanentError("registry", "403", "list the tags", status=403)
    await resume_releases(house.agents, house.outside)
    assert "MISSED_PUSH_CHECK_FAILED" in house.journal.reasons()


@pytest.mark.parametrize("told", ["soon", "3", "0001-01-01T00:00:00+14:00", "9999-12-31T00:00:00+00:00"])
@in_virtual_time
async def test_a_day_that_a_person_noted_wrongly_does_not_end_the_catching_up(told: str) -> None:
    house = house_with()
    house.ledger.markers["missed-pushes"] = told
    house.images.tags[REPOSITORY] = [RegistryTag("v1", f"sha256:{'a' * 64}", house.clock.now())]
    await resume_releases(house.agents, house.outside)
    assert "MISSED_PUSH_FOUND" in house.journal.reasons()


@in_virtual_time
async def test_catch_up_never_goes_back() -> None:
    house = await live_house()
    house.images.tags[REPOSITORY] = [RegistryTag("v0", f"sha256:{'0' * 64}", house.clock.now() - timedelta(days=30))]
    await resume_releases(house.agents, house.outside)
    assert (await house.ledger.get_desired(AGENT)).generation == 1
