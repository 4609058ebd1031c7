"""``slipway status``: the live version, holds, pauses and the next prune."""

from __future__ import annotations

from cli.commands.status import show_status
from core.intake.events import apply_config
from tests.support.app import AGENT, App
from tests.unit.cli.support import context_of, make_live, run


async def test_it_shows_the_live_version_holds_pauses_and_the_next_prune(app: App) -> None:
    await make_live(app, "a")
    await run(app, "hold", why="a rumour", until="1d")
    await run(app, "pause", why="lunch", until="1h")
    result = await show_status(context_of(app), AGENT)
    (status,) = result.data
    assert (status["live"], status["versions"], status["version_limit_status"]) == ("1", 1, "ok")
    assert status["next_prune"][:10] == "2026-11-25"
    assert "a rumour" in status["holds"][0]
    assert "until 2026-11-25" in status["holds"][0]
    assert "paused by ann until 2026-11-24 13:" in result.text
    assert status["live_image"].endswith("a" * 64)


async def test_it_shows_a_rollback_and_what_waits_for_its_end(app: App) -> None:
    await make_live(app, "a", "b")
    await run(app, "request_rollback", why="orders are lost")
    (asked,) = (await show_status(context_of(app), AGENT)).data
    assert asked["rolled_back"] == "to v1 by ann 0 s ago (not finished): orders are lost"
    assert await app.released() == "LIVE"
    app.clock.passed += 2 * 3600
    result = await show_status(context_of(app), AGENT)
    assert "  rolled back to v1 by ann 2 h ago: orders are lost\n" in result.text
    assert "ROLLED_BACK_BY" not in result.text
    changed = app.agents.agents[AGENT].model_copy(update={"cpu": "2", "memory": "4Gi"})
    await app.state_store.update_desired(AGENT, lambda desired: apply_config(desired, changed, app.clock.now()).desired)
    app.clock.passed += 90
    waits = "  ROLLED_BACK_BY: agents.yaml, deployed 1 min ago, waits for a newer push or slipway retry\n"
    assert waits in (await show_status(context_of(app), AGENT)).text
