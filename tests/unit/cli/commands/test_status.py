"""``slipway status``: the live version, holds, pauses and the next prune."""

from __future__ import annotations

from cli.commands.status import show_status
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
