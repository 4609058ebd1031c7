"""A person's routing stands until a newer push or command is released, and a rollback never goes to what is held."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from core.model import Routing
from handlers import user_commands
from tests.simulation.virtual_time import in_virtual_time
from tests.support.app import AGENT, App, app_with, live_app, push_and_release, rotate

CHECK = "check: {ask: ping, expect: pong}"


@in_virtual_time
async def test_the_first_version_of_a_new_agent_is_pinned_by_a_person_after_its_release_timed_out() -> None:
    app = app_with("provision_within: 1m")
    app.foundry.provisioning = 600
    assert await push_and_release(app, "v1", "a") == "TIMED_OUT"
    await app.clock.sleep(900)
    app.foundry.agents[AGENT].routing = Routing.to("1")
    app.foundry.provisioning = 20
    await rotate(app, "second")
    await app.released()
    assert (await app.live(), app.journal.reasons()[-1]) == ("1", "ROUTING_CHANGED")
    assert await push_and_release(app, "v2", "b") == "LIVE"


@in_virtual_time
async def test_a_rollback_skips_an_image_that_a_person_holds() -> None:
    app = await _three_versions()
    app.foundry.answers["d" * 64] = ("pong", "oops")
    app.foundry.agents[AGENT].routing = Routing.to("2")
    await user_commands.hold(AGENT, "it lies", "ann", app.gateways, digest=f"sha256:{'b' * 64}")
    assert await push_and_release(app, "v4", "d") == "CHECK_FAILED"
    assert await app.live() == "3", "version 2 served at the start, and its image is held"


@in_virtual_time
async def test_the_good_version_before_the_last_good_one_is_a_rollback_version() -> None:
    app = await _three_versions()
    await user_commands.hold(AGENT, "it lies", "ann", app.gateways, digest=f"sha256:{'c' * 64}")
    app.foundry.answers["d" * 64] = ("pong", "oops")
    assert await push_and_release(app, "v4", "d") == "CHECK_FAILED"
    assert await app.live() == "2"


@in_virtual_time
async def test_a_rotation_makes_no_version_of_an_image_that_a_person_holds() -> None:
    app = await live_app()
    await user_commands.hold(AGENT, "it lies", "ann", app.gateways)
    await rotate(app, "second")
    assert await app.released() == "HELD"
    assert app.foundry.create_count == 1


@in_virtual_time
async def test_traffic_is_not_pinned_to_a_held_image() -> None:
    app = await _three_versions()
    await user_commands.hold(AGENT, "it lies", "ann", app.gateways, digest=f"sha256:{'b' * 64}")
    release = await app.state_store.get_release(AGENT)
    lease = await app.state_store.acquire_lease(AGENT)
    assert lease is not None
    await lease.write(replace(release, last_good=release.previous_good, previous_good=None))
    await lease.release()
    app.foundry.agents[AGENT].routing = Routing()
    await app.pushed("v4", "d")
    routings: list[Routing] = []
    set_routing = app.foundry.set_routing

    class Recording:
        def __getattr__(self, name: str) -> Any:
            return getattr(app.foundry, name)

        async def set_routing(self, agent: str, to: Routing) -> Routing:
            routings.append(to)
            return await set_routing(agent, to)

    app.gateways = replace(app.gateways, foundry=Recording())
    assert await app.released() == "LIVE"
    assert routings == [Routing.to("3"), Routing.to("4")]


@in_virtual_time
async def test_a_hold_set_after_a_release_request_by_a_clock_ahead_is_valid() -> None:
    app = await live_app()
    app.foundry.answers["b" * 64] = ("pong", "oops")
    assert await push_and_release(app, "v2", "b") == "CHECK_FAILED"
    laptop = app_with()
    laptop.gateways = replace(app.gateways, clock=_Ahead(app))
    await user_commands.request_release(app.agents.agents[AGENT], "ann", laptop.gateways)
    await app.clock.sleep(30)
    assert await app.released() == "CHECK_FAILED"
    await app.clock.sleep(200)
    assert await push_and_release(app, "v3", "b") == "HELD"
    assert await app.live() == "1"


class _Ahead:
    """A laptop's clock, ten minutes ahead."""

    def __init__(self, app: App) -> None:
        self._clock = app.clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._clock, name)

    def now(self) -> Any:
        return self._clock.now() + timedelta(minutes=10)


async def _three_versions() -> App:
    """Versions 1 to 3 of the images a to c; 3 is live and good, 2 was good before."""
    app = app_with(CHECK)
    for tag, letter in (("v1", "a"), ("v2", "b"), ("v3", "c")):
        assert await push_and_release(app, tag, letter) == "LIVE"
        await app.clock.sleep(3600)
    return app
