"""Answers of Foundry that say nothing about a version, conflicts that ask to retry, and the sessions of questions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from core.model import Answer
from handlers.gateways.errors import GatewayError, PermanentError, TransientError
from handlers.gateways.in_memory.foundry import InMemoryFoundry
from tests.simulation.virtual_time import VirtualClock, in_virtual_time
from tests.support.app import AGENT, App, app_with, live_app, push_and_release

STARTING = Answer(400, "Agent version is still being provisioned", code="bad_request", origin="service")
UNKNOWN = Answer(400, code="unheard_of", origin="service")
CHECK_ONLY = "check: {ask: ping, expect: pong}"


@in_virtual_time
async def test_a_version_that_is_starting_right_after_the_promotion_goes_live() -> None:
    app = await live_app()
    app.foundry.answers["b" * 64] = (STARTING, STARTING)

    def started() -> None:
        if app.clock.monotonic() - began > 60:
            app.foundry.answers.clear()

    began, app.foundry.before_answer = app.clock.monotonic(), started
    assert await push_and_release(app, "v2", "b") == "LIVE"
    assert await app.live() == "2"


@pytest.mark.parametrize("answer", [STARTING, UNKNOWN, Answer(200, "pong", version="1")])
@in_virtual_time
async def test_a_verified_version_stays_live_where_foundry_says_nothing_about_it(answer: Answer) -> None:
    app = await live_app()
    app.foundry.answers["b" * 64] = ("pong", answer)
    assert await push_and_release(app, "v2", "b") == "CHECK_INCONCLUSIVE"
    assert await app.live() == "2"
    assert not (await app.state_store.get_release(AGENT)).holds


@in_virtual_time
async def test_a_version_that_never_served_and_goes_on_starting_is_taken_back() -> None:
    app = app_with(CHECK_ONLY)
    assert await push_and_release(app, "v1", "a") == "LIVE"
    await app.clock.sleep(3600)
    app.foundry.answers["b" * 64] = ("pong", STARTING)
    assert await push_and_release(app, "v2", "b") == "CHECK_FAILED"
    assert await app.live() == "1"


@pytest.mark.parametrize(("answer", "reason"), [(STARTING, "VERIFY_FAILED"), (UNKNOWN, "VERIFY_INCONCLUSIVE")])
@in_virtual_time
async def test_only_what_is_known_about_a_version_holds_it(answer: Answer, reason: str) -> None:
    app = await live_app()
    app.foundry.answers["b" * 64] = answer, "pong"
    assert await push_and_release(app, "v2", "b") == reason
    assert await app.live() == "1"
    assert bool((await app.state_store.get_release(AGENT)).holds) == (reason == "VERIFY_FAILED")


class FailingFoundry:
    """A Foundry whose calls of one name fail so many times; a session takes five seconds to end."""

    def __init__(self, app: App, name: str, error: GatewayError | None, times: float = float("inf")) -> None:
        self.app, self.name, self.error, self.times = app, name, error, times
        self.target: InMemoryFoundry = app.foundry
        app.gateways = replace(app.gateways, foundry=self)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            if name == "end_session":
                await self.app.clock.sleep(5)
            if name == self.name and self.error is not None and self.times > 0:
                self.times -= 1
                raise self.error
            return await getattr(self.target, name)(*args, **kwargs)

        return call


CONFLICT = TransientError("Foundry", "conflict", "modified concurrently. Please retry.", conflict=True)
SLOW_CONFLICT = TransientError("Foundry", "conflict", "Please retry.", conflict=True, retry_after=300.0)
CONFLICTS = [
    pytest.param("create_version", "pong", "CREATE_REFUSED", id="create"),
    pytest.param("set_routing", "pong", "ROUTE_REFUSED", id="move the traffic"),
]


@pytest.mark.parametrize(("call", "answer", "reason"), CONFLICTS)
@in_virtual_time
async def test_a_conflict_that_asks_to_retry_is_sent_again_and_ends_at_last(
    call: str, answer: str, reason: str
) -> None:
    app = await live_app()
    FailingFoundry(app, call, CONFLICT, times=3)
    assert await push_and_release(app, "v2", "b") == "LIVE"
    began = app.clock.monotonic()
    FailingFoundry(app, call, CONFLICT)
    assert await push_and_release(app, "v3", "c") == reason
    assert app.clock.monotonic() - began > 30
    assert await app.live() == "2"


@in_virtual_time
async def test_a_conflict_that_names_a_long_wait_goes_back_to_the_queue() -> None:
    app = await live_app()
    FailingFoundry(app, "create_version", SLOW_CONFLICT, times=1)
    assert await push_and_release(app, "v2", "b") == ""
    assert app.journal.reasons()[-1] == "SERVICE_UNAVAILABLE"
    assert await app.released() == "LIVE"


@pytest.mark.parametrize(("names_preview", "reason"), [(True, "PREVIEW_REQUIRED"), (False, "FORBIDDEN")])
@in_virtual_time
async def test_a_refusal_that_names_a_preview_feature_advises_no_role(names_preview: bool, reason: str) -> None:
    app = await live_app()
    error = PermanentError("Foundry", "preview_feature_required", "words", status=403, names_preview=names_preview)
    FailingFoundry(app, "create_version", error)
    assert await push_and_release(app, "v2", "b") == reason
    assert (await app.state_store.get_release(AGENT)).detail == "Foundry: preview_feature_required: words"


@pytest.mark.parametrize("call", ["get_agent", "create_version", "set_routing", "ensure_toolbox"])
@in_virtual_time
async def test_a_project_of_another_tenant_is_one_reason(call: str) -> None:
    app = App(clock=VirtualClock())
    FailingFoundry(app, call, PermanentError("Foundry", "400", "words", status=400, other_tenant=True))
    assert await push_and_release(app, "v1", "a") == "OTHER_TENANT"
    assert app.journal.reasons().count("OTHER_TENANT") == 1


@in_virtual_time
async def test_the_end_of_sessions_delays_neither_the_traffic_nor_a_rollback() -> None:
    app = await live_app()
    FailingFoundry(app, "", None)
    answered = list[float]()
    app.foundry.before_answer = lambda: answered.append(app.clock.monotonic())
    app.foundry.answers["b" * 64] = ("pong", "oops")
    assert await push_and_release(app, "v2", "b") == "CHECK_FAILED"
    verified, checked = answered[-2:]
    assert checked - verified < 5
    assert not app.foundry.agents[AGENT].probe_sessions


@in_virtual_time
async def test_a_session_that_cannot_be_ended_changes_nothing() -> None:
    app = await live_app()
    FailingFoundry(app, "end_session", TransientError("Foundry", "503", "delete a session"))
    assert await push_and_release(app, "v2", "b") == "LIVE"
    assert len(app.foundry.agents[AGENT].probe_sessions) == 2
