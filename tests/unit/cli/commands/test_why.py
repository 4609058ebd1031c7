"""``slipway why``: which decisions and which state it shows."""

from __future__ import annotations

from datetime import timedelta

from cli.commands.why import explain
from cli.exit_codes import NOTHING_TO_DO
from tests.support.app import AGENT, App
from tests.unit.cli.support import context_of, make_live, run

DAY = timedelta(days=1)


async def test_it_shows_a_whole_release_and_an_event_that_no_agent_follows(app: App) -> None:
    await make_live(app, "a")
    by_tag = await explain(context_of(app), "v1", DAY)
    assert [decision["reason"] for decision in by_tag.data["decisions"] if decision.get("agent") == AGENT] == [
        *("ACCEPTED", "BEGIN", "CREATE", "CONFIRM_PASSED", "TRAFFIC_MOVED", "LIVE")
    ]
    by_digest = await explain(context_of(app), "sha256:aaaaaaaa", DAY)
    assert by_digest.data["decisions"] == by_tag.data["decisions"]
    assert "now: hello-agent last good: agents/hello:v1" in by_tag.text
    await app.event(7)
    await app.event({"id": "strange-1", "type": "Something"})
    (decision,) = (await explain(context_of(app), "strange-1", DAY)).data["decisions"]
    assert decision["reason"] == "OTHER_EVENT_TYPE"
    nothing = await explain(context_of(app), "v9", DAY)
    assert (nothing.exit_code, "nothing is known about v9" in nothing.text) == (NOTHING_TO_DO, True)


async def test_it_shows_user_commands_and_holds(app: App) -> None:
    await make_live(app, "a")
    await run(app, "hold", why="a rumour")
    result = await explain(context_of(app), "agents/hello:v1", DAY)
    assert any(decision["reason"] == "HOLD_SET" for decision in result.data["decisions"])
    assert [entry["detail"] for entry in result.data["state"] if entry["kind"] == "hold"] == [
        "HOLD_SET by ann until removed: a rumour"
    ]


async def test_it_shows_a_rollback_to_the_image_and_away_from_it(app: App) -> None:
    await make_live(app, "a", "b")
    await run(app, "request_rollback", why="orders are lost")
    await app.released()
    for subject in ("v1", "v2"):
        state = (await explain(context_of(app), subject, DAY)).data["state"]
        (detail,) = [entry["detail"] for entry in state if entry["kind"] == "rolled_back"]
        assert detail.startswith("to version 1 by ann since 2026-11-24 12:")
        assert detail.endswith("UTC: orders are lost")
    await app.pushed("v3", "c")
    assert not [
        entry for entry in (await explain(context_of(app), "v1", DAY)).data["state"] if entry["kind"] == "rolled_back"
    ]


async def test_it_names_a_variable_that_a_release_dropped(app: App) -> None:
    await make_live(app, "a")
    spec = app.agents.agents[AGENT]
    app.agents = app.agents.model_copy(update={"agents": {AGENT: spec.model_copy(update={"env": {}})}})
    await make_live(app, "b")
    result = await explain(context_of(app), "sha256:bbbbbbbb", DAY)
    (line,) = [line for line in result.text.splitlines() if "VARIABLE_REMOVED" in line]
    assert "KEY: agents.yaml does not set it any more" in line
