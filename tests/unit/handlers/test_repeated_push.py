"""The same image and tag, pushed again once the cause of a failed release is removed."""

from __future__ import annotations

from dataclasses import replace

from core.state.desired import DesiredState, Hold
from handlers.gateways.in_memory.clock import ManualClock
from tests.support.app import AGENT, App


async def test_it_goes_live_once_the_app_may_read_the_secret() -> None:
    app = App(clock=ManualClock())
    app.key_vault.forbidden = True
    await app.pushed()
    assert await app.released() == "SECRET_FORBIDDEN"
    app.key_vault.forbidden = False
    pushed_at = app.clock.now()
    await app.pushed()  # a redelivered event has the time of the first
    assert app.clock.now() == pushed_at
    assert await app.released() == "SECRET_FORBIDDEN"
    app.clock.passed += 60
    await app.pushed()
    assert await app.released() == "LIVE"


async def test_a_held_image_says_so() -> None:
    app = App(clock=ManualClock())
    await app.pushed()
    assert await app.released() == "LIVE"
    app.clock.passed += 60

    def hold(desired: DesiredState) -> DesiredState:
        assert desired.push is not None
        held = Hold("", desired.push.digest, "HOLD_SET", "broken", app.clock.now(), by="ann")
        return replace(desired, holds=(held,))

    await app.state_store.update_desired(AGENT, hold)
    await app.pushed()
    line = next(line for line in reversed(app.journal.lines) if line.get("agent") == AGENT)
    assert (line["reason"], line["detail"]) == ("HELD", "HOLD_SET by ann: broken")
    assert "slipway unhold hello-agent" in str(line["help"])
