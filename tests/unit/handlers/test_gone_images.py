"""Once a day: an image that a version needs and the registry does not have any more is reported once."""

from __future__ import annotations

from handlers.agent_states import AgentStates
from handlers.gateways.errors import TransientError
from handlers.resume_releases.gone_images import MARKER, MAX_AGENTS, report_gone_images
from handlers.resume_releases.run import resume_releases
from handlers.telemetry.decision_log import DecisionLog
from tests.simulation.virtual_time import in_virtual_time
from tests.support.app import AGENT, REPOSITORY, App, live_app, push_and_release

OLD, LIVE = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"


async def two_versions() -> App:
    app = await live_app()
    assert await push_and_release(app, "v2", "b") == "LIVE"
    await next_day(app)
    return app


async def next_day(app: App) -> None:
    await app.clock.sleep(86_400)
    await resume_releases(app.agents, app.gateways)


def drift(app: App) -> list[str]:
    return [str(line["detail"]) for line in app.journal.lines if line["reason"] == "DRIFT"]


@in_virtual_time
async def test_the_live_and_the_previous_image_are_looked_for() -> None:
    app = await two_versions()
    assert drift(app) == []
    del app.registry.images[REPOSITORY, OLD]
    await next_day(app)
    await next_day(app)
    (previous,) = drift(app)
    assert previous.startswith(f"IMAGE_GONE: the registry does not have the image of version 1 any more, {REPOSITORY}@")
    del app.registry.images[REPOSITORY, LIVE]
    await next_day(app)
    assert "of version 2 " in drift(app)[1]
    await app.clock.sleep(300)
    await resume_releases(app.agents, app.gateways)
    assert len(drift(app)) == 2


@in_virtual_time
async def test_another_difference_is_reported_beside_it_and_neither_twice() -> None:
    app = await two_versions()
    del app.registry.images[REPOSITORY, LIVE]
    await next_day(app)
    app.foundry.agents[AGENT].enabled = False
    for _ in range(3):
        await next_day(app)
    assert len(drift(app)) == 2


@in_virtual_time
async def test_a_registry_that_does_not_answer_proves_nothing() -> None:
    app = await two_versions()
    app.registry.error = TransientError("registry", "timeout", "no answer")
    await next_day(app)
    assert drift(app) == []
    assert "DRIFT_UNKNOWN" in app.journal.reasons()
    app.registry.error = None
    del app.registry.images[REPOSITORY, LIVE]
    await next_day(app)
    assert len(drift(app)) == 1


@in_virtual_time
async def test_a_day_with_many_agents_takes_several_runs() -> None:
    app = await two_versions()
    names = [f"agent-{number:03}" for number in range(MAX_AGENTS + 1)]
    states, decisions = AgentStates(app.state_store), DecisionLog(app.journal, app.clock, {})
    await app.clock.sleep(86_400)
    for left in (1, 0, 0):
        await report_gone_images(names, states, decisions, app.gateways)
        assert len((await app.state_store.read_marker(MARKER)).split("\n")[1].split()) == left
