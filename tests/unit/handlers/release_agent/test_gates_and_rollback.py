"""Releases with gateways in memory: verify, check, rollback, hold, approval, pause, image check, missed pushes."""

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
from tests.support.app import AGENT, App, app_with, live_app, push_and_release, rotate


@in_virtual_time
async def test_a_version_is_asked_before_and_after_it_gets_traffic() -> None:
    app = await live_app()
    assert await push_and_release(app, "v2", "b") == "LIVE"
    assert app.foundry.probes[-2:] == [(AGENT, "2", True), (AGENT, "2", False)]
    assert app.journal.reasons()[-4:] == ["CONFIRM_PASSED", "VERIFY_PASSED", "TRAFFIC_MOVED", "LIVE"]
    assert not app.foundry.agents[AGENT].probe_sessions


@in_virtual_time
async def test_a_version_that_answers_wrongly_never_gets_traffic() -> None:
    app = await live_app()
    app.foundry.answers["b" * 64] = "no idea"
    assert await push_and_release(app, "v2", "b") == "VERIFY_FAILED"
    assert await app.live() == "1"
    assert "TRAFFIC_MOVED" not in app.journal.reasons()[-3:]
    assert app.foundry.probes[-1] == (AGENT, "2", True)
    assert not app.foundry.agents[AGENT].probe_sessions


@in_virtual_time
async def test_a_version_that_fails_its_check_is_rolled_back_and_held() -> None:
    app = await live_app()
    app.foundry.answers["b" * 64] = ("pong", Answer(200, "oops"))
    assert await push_and_release(app, "v2", "b") == "CHECK_FAILED"
    assert await app.live() == "1"
    assert app.journal.reasons()[-3:] == ["TRAFFIC_MOVED", "ROLLBACK", "CHECK_FAILED"]
    rolled_back, failed = (str(line["detail"]) for line in app.journal.lines[-2:])
    assert rolled_back == "from version 2 to version 1"
    assert failed == "answered 4 characters that do not match pong"
    await app.clock.sleep(60)
    assert await push_and_release(app, "v2-again", "b") == "HELD"
    assert await app.live() == "1"
    assert app.foundry.create_count == 2
    assert await push_and_release(app, "v3", "c") == "LIVE"
    assert await app.live() == "3"


@in_virtual_time
async def test_a_first_version_that_fails_its_check_has_no_rollback_version() -> None:
    app = app_with()
    app.foundry.answers["a" * 64] = ("pong", "oops")
    assert await push_and_release(app, "v1", "a") == "CHECK_FAILED_NO_ROLLBACK_VERSION"
    assert (await app.state_store.get_release(AGENT)).holds


@in_virtual_time
async def test_a_hold_lasts_as_long_as_agents_yaml_says_and_its_end_starts_no_release() -> None:
    app = await live_app()
    app.foundry.answers["b" * 64] = "no idea"
    await push_and_release(app, "v2", "b")
    await app.clock.sleep(timedelta(days=8).total_seconds())
    assert await app.released() == "VERIFY_FAILED"
    assert app.foundry.create_count == 2
    app.foundry.answers.clear()
    assert await push_and_release(app, "v2-again", "b") == "LIVE"


@in_virtual_time
async def test_while_an_image_is_held_a_rotated_secret_reaches_the_live_image() -> None:
    app = await live_app()
    app.foundry.answers["b" * 64] = "no idea"
    await push_and_release(app, "v2", "b")
    await rotate(app, "rotated-5e1d")
    assert await app.released() == "LIVE"
    live = await app.live()
    assert app.foundry.environment(AGENT, live or "")["KEY"] == "rotated-5e1d"
    assert "a" * 64 in app.foundry.agents[AGENT].versions[live or ""].image


@in_virtual_time
async def test_a_fixed_secret_is_released_after_a_broken_secret_was_held() -> None:
    """The image is live with the older secret: only the definition with the broken secret is held."""
    app = await live_app()
    app.foundry.answers["a" * 64] = "no idea"
    await rotate(app, "broken-1")
    assert await app.released() == "VERIFY_FAILED"
    app.foundry.answers.clear()
    await rotate(app, "fixed-2")
    assert await app.released() == "LIVE"


@in_virtual_time
async def test_unhold_releases_the_image_again() -> None:
    app = await live_app()
    app.foundry.answers["b" * 64] = "no idea"
    await push_and_release(app, "v2", "b")
    app.foundry.answers.clear()
    update = await user_commands.unhold(AGENT, "ann", app.gateways)
    assert update.reason is Reason.HOLD_REMOVED
    assert await app.released() == "LIVE"
    assert await app.live() == "2"
    assert app.foundry.create_count == 2


@in_virtual_time
async def test_a_release_request_overrides_a_hold() -> None:
    app = await live_app()
    await user_commands.hold(AGENT, "freeze", "ann", app.gateways, digest=f"sha256:{'b' * 64}")
    assert await push_and_release(app, "v2", "b") == "HELD"
    await user_commands.request_release(app.agents.agents[AGENT], "bob", app.gateways)
    assert await app.released() == "LIVE"
    assert await app.live() == "2"


@in_virtual_time
async def test_a_manual_agent_waits_for_approval() -> None:
    app = app_with("mode: manual, verify: {ask: ping, expect: pong}")
    assert await push_and_release(app, "v1", "a") == ""
    asked = len(app.foundry.probes)
    await app.released()
    assert app.journal.reasons().count("APPROVAL_WAITING") == 1
    assert len(app.foundry.probes) == asked
    refused = await user_commands.approve(AGENT, "ann", app.gateways, version="7")
    assert refused.reason is Reason.NOTHING_TO_APPROVE
    await user_commands.approve(AGENT, "ann", app.gateways)
    assert await app.released() == "LIVE"


@in_virtual_time
async def test_an_approval_is_void_for_the_next_version() -> None:
    app = app_with("mode: manual")
    await push_and_release(app, "v1", "a")
    await user_commands.approve(AGENT, "ann", app.gateways)
    assert await app.released() == "LIVE"
    await app.clock.sleep(60)
    await push_and_release(app, "v2", "b")
    assert await app.live() == "1"
    assert app.journal.reasons()[-1] == "APPROVAL_WAITING"


@in_virtual_time
async def test_a_pause_stops_releases_and_is_reported_once() -> None:
    app = await live_app()
    await user_commands.pause((AGENT,), "freeze", "ann", app.gateways)
    assert await push_and_release(app, "v2", "b") == "LIVE"
    await app.released()
    assert app.journal.reasons().count("PAUSED") == 2  # the command of ann, and the release that it stopped
    assert await app.live() == "1"
    await user_commands.unpause((AGENT,), "ann", app.gateways)
    assert await app.released() == "LIVE"
    assert await app.live() == "2"


@in_virtual_time
async def test_a_pause_ends_by_itself() -> None:
    app = await live_app()
    await user_commands.pause((AGENT,), "freeze", "ann", app.gateways, until=app.clock.now() + timedelta(hours=1))
    await push_and_release(app, "v2", "b")
    await app.clock.sleep(3601)
    assert await app.released() == "LIVE"
    assert await app.live() == "2"


@in_virtual_time
async def test_an_agent_in_mode_notify_only_reports_the_release() -> None:
    app = app_with("mode: notify")
    assert await push_and_release(app, "v1", "a") == "WOULD_RELEASE"
    assert app.foundry.create_count == 0


@in_virtual_time
async def test_a_candidate_deleted_while_it_is_verified_ends_with_a_reason() -> None:
    app = await live_app()

    def delete() -> None:
        app.foundry.agents[AGENT].versions.pop("2", None)

    app.foundry.before_answer = delete
    assert await push_and_release(app, "v2", "b") == "VERIFY_FAILED"
    assert await app.live() == "1"


@in_virtual_time
async def test_a_live_version_that_fails_is_not_a_rollback_version() -> None:
    app = await live_app()
    versions = app.foundry.agents[AGENT].versions

    def fail() -> None:
        versions["1"] = replace(versions["1"], failure=Failure("ProvisioningError", "gone bad"))

    app.foundry.before_answer = fail
    app.foundry.answers["b" * 64] = ("pong", "oops")
    assert await push_and_release(app, "v2", "b") == "CHECK_FAILED_NO_ROLLBACK_VERSION"
    assert await app.live() == "2"


@in_virtual_time
async def test_traffic_that_a_person_moves_during_the_check_is_not_moved_back() -> None:
    app = await live_app()
    agent = app.foundry.agents[AGENT]

    def move() -> None:
        if agent.routing == Routing.to("2"):
            agent.routing = Routing.to("1")

    app.foundry.before_answer = move
    app.foundry.answers["b" * 64] = ("pong", "oops")
    assert await push_and_release(app, "v2", "b") == "ROUTING_CHANGED"
    assert await app.live() == "1"
    assert "ROLLBACK" not in app.journal.reasons()


@in_virtual_time
async def test_a_release_whose_probes_take_long_keeps_its_lease() -> None:
    app = await live_app()
    app.foundry.answers["b" * 64] = (Answer(503), "pong")
    began = app.clock.monotonic()
    assert await push_and_release(app, "v2", "b") == "VERIFY_FAILED"
    assert app.clock.monotonic() - began > 60


WRONG_PLATFORM = ImageFacts("WRONG_PLATFORM", "linux/amd64 is needed; there is linux/arm64")
REPOSITORY = "agents/hello"


WITH_INSPECT = b"""
agents:
  hello-agent:
    repository: agents/hello
    inspect: %(inspect)s
    image: %(image)s
"""


def app_with_inspect(inspect: str, image: str = "amd64") -> App:
    keys = {b"inspect": inspect.encode(), b"image": image.encode()}
    return App(clock=VirtualClock(), agents=load_agents(WITH_INSPECT % keys))


@in_virtual_time
async def test_an_image_of_another_platform_is_rejected_before_a_create() -> None:
    app = app_with_inspect("best-effort")
    app.registry.images[REPOSITORY, f"sha256:{'a' * 64}"] = WRONG_PLATFORM
    assert await push_and_release(app, "v1", "a") == "WRONG_PLATFORM"
    assert app.foundry.create_count == 0
    assert (await app.state_store.get_release(AGENT)).detail == WRONG_PLATFORM.detail


@in_virtual_time
async def test_the_registry_is_read_once_for_a_digest_and_the_child_is_deployed() -> None:
    app = app_with_inspect("best-effort")
    child = f"sha256:{'9' * 64}"
    app.registry.images[REPOSITORY, f"sha256:{'a' * 64}"] = ImageFacts(amd64=child)
    assert await push_and_release(app, "v1", "a") == "LIVE"
    await app.clock.sleep(60)
    assert await push_and_release(app, "stable", "a") == "ALREADY_LIVE"
    assert len(app.registry.inspected) == 1
    assert app.foundry.agents[AGENT].versions["1"].image.endswith(child)


@in_virtual_time
async def test_without_inspection_the_registry_is_not_read() -> None:
    app = app_with_inspect("never")
    assert await push_and_release(app, "v1", "a") == "LIVE"
    assert app.registry.inspected == []


BUSY = TransientError("registry", "503", "read")
REFUSED = PermanentError("registry", "403", "read", status=403)
UNREADABLE = [
    pytest.param(BUSY, "best-effort", "index", "LIVE", id="unavailable, best effort"),
    pytest.param(REFUSED, "best-effort", "index", "LIVE", id="403, best effort"),
    pytest.param(REFUSED, "required", "index", "IMAGE_UNREADABLE", id="403, required"),
    pytest.param(BUSY, "required", "index", "", id="unavailable, required: the release waits"),
    pytest.param(BUSY, "best-effort", "amd64", "", id="unavailable, and the child's digest is needed: it waits"),
    pytest.param(REFUSED, "best-effort", "amd64", "IMAGE_UNREADABLE", id="403, and the child's digest is needed"),
]


@pytest.mark.parametrize(("error", "inspect", "image", "reason"), UNREADABLE)
@in_virtual_time
async def test_an_unreadable_image_stops_only_agents_that_need_the_answer(
    error: GatewayError, inspect: str, image: str, reason: str
) -> None:
    app = app_with_inspect(inspect, image)
    app.registry.error = error
    assert await push_and_release(app, "v1", "a") == reason
    if not reason:
        assert app.journal.reasons()[-1] == "SERVICE_UNAVAILABLE"


@in_virtual_time
async def test_a_missed_push_is_found_once_a_day() -> None:
    app = await live_app()
    at = app.clock.now()
    app.registry.push(REPOSITORY, "v2", f"sha256:{'b' * 64}", at)
    await resume_releases(app.agents, app.gateways)
    assert "MISSED_PUSH_FOUND" in app.journal.reasons()
    assert await app.released() == "LIVE"
    assert "b" * 64 in app.foundry.agents[AGENT].versions["2"].image
    asked = len(app.release_queue.sent)
    await app.clock.sleep(3600)
    await resume_releases(app.agents, app.gateways)
    await app.clock.sleep(timedelta(days=1).total_seconds())
    await resume_releases(app.agents, app.gateways)
    assert app.journal.reasons().count("MISSED_PUSH_FOUND") == 1
    assert len(app.release_queue.sent) == asked


@in_virtual_time
async def test_a_registry_that_cannot_be_listed_is_reported_and_stops_nothing() -> None:
    app = await live_app()
    app.registry.error = PermanentError("registry", "403", "list the tags", status=403)
    await resume_releases(app.agents, app.gateways)
    assert "MISSED_PUSH_CHECK_FAILED" in app.journal.reasons()


@pytest.mark.parametrize("marker", ["soon", "3", "0001-01-01T00:00:00+14:00", "9999-12-31T00:00:00+00:00"])
@in_virtual_time
async def test_an_unreadable_marker_does_not_stop_the_search_for_missed_pushes(marker: str) -> None:
    app = app_with()
    app.state_store.markers["missed-pushes"] = marker
    app.registry.tags[REPOSITORY] = [RegistryTag("v1", f"sha256:{'a' * 64}", app.clock.now())]
    await resume_releases(app.agents, app.gateways)
    assert "MISSED_PUSH_FOUND" in app.journal.reasons()


@in_virtual_time
async def test_a_missed_push_never_replaces_a_newer_push() -> None:
    app = await live_app()
    app.registry.tags[REPOSITORY] = [RegistryTag("v0", f"sha256:{'0' * 64}", app.clock.now() - timedelta(days=30))]
    await resume_releases(app.agents, app.gateways)
    assert (await app.state_store.get_desired(AGENT)).generation == 1
