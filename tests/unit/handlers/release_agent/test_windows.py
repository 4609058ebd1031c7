"""A version is made and proven at any time; traffic moves while ``release.windows`` is open, or when a person asks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from core.agents_file.loader import load_agents
from core.reasons import Reason
from core.release_outcome import awaits_approval, unfinished_since
from core.timing import MAX_MESSAGE_DELAY
from handlers import user_commands
from handlers.resume_releases.run import resume_releases
from tests.simulation.virtual_time import START, in_virtual_time
from tests.support.app import AGENT, WITH_RELEASE, App, app_with, push_and_release, rotate

WEDNESDAY_9 = datetime(2026, 11, 25, 9, tzinfo=UTC)
VERIFY = "verify: {ask: ping, expect: pong}"
IN_BUSINESS_HOURS = f"windows: {{allow: {{days: mon-fri, hours: 09:00-11:00}}}}, {VERIFY}"
"""The simulation begins on Tuesday at 12:00 UTC."""


async def waiting_app(release: str = IN_BUSINESS_HOURS, debounce: str = "0s") -> App:
    """Version 1 is live, and version 2 waits for its window."""
    app = app_with(release)
    app.agents = load_agents((WITH_RELEASE % release).replace("debounce: 0s", f"debounce: {debounce}").encode())
    await app.pushed("v1", "a")
    await app.released()
    await user_commands.request_release(app.agents.agents[AGENT], "ann", app.gateways)
    assert await app.released() == "LIVE"
    await app.clock.sleep(3600)
    app.journal.lines.clear()
    await push_and_release(app, "v2", "b")
    return app


def waits(app: App) -> list[float]:
    """The delays of the messages that were sent for later."""
    return [delay for _, delay in app.release_queue.sent if delay > 0]


async def sleep_until(app: App, at: datetime) -> None:
    await app.clock.sleep((at - app.clock.now()).total_seconds())


@in_virtual_time
async def test_a_proven_version_waits_for_the_window_with_one_message() -> None:
    app = await waiting_app()
    assert app.journal.reasons()[-2:] == ["VERIFY_PASSED", "WINDOW_CLOSED"]
    assert app.journal.lines[-1]["detail"] == "opens Wed 2026-11-25 09:00 UTC"
    assert await app.live() == "1"
    assert (await app.state_store.get_release(AGENT)).resumes_at == WEDNESDAY_9
    for _ in range(3):
        assert await app.released() == ""
        await resume_releases(app.agents, app.gateways)
        await app.clock.sleep(300)
    assert len(waits(app)) == 1
    assert app.journal.reasons().count("WINDOW_CLOSED") == 1
    assert "REQUEUED" not in app.journal.reasons()
    state, desired = await app.state_store.get_release(AGENT), await app.state_store.get_desired(AGENT)
    assert unfinished_since(desired, state, app.clock.now()) is None
    assert unfinished_since(desired, state, WEDNESDAY_9 + timedelta(hours=1)) == WEDNESDAY_9


@in_virtual_time
async def test_the_traffic_moves_when_the_window_opens() -> None:
    app = await waiting_app()
    asked = len(app.foundry.probes)
    await sleep_until(app, WEDNESDAY_9)
    assert await app.released() == "LIVE"
    assert await app.live() == "2"
    assert len(app.foundry.probes) == asked
    moved = next(line for line in app.journal.lines if line["reason"] == "TRAFFIC_MOVED")
    assert not moved.get("detail")


@in_virtual_time
async def test_the_timer_continues_a_release_whose_message_was_lost() -> None:
    app = await waiting_app()
    await sleep_until(app, WEDNESDAY_9 - timedelta(seconds=1))
    app.release_queue.sent.clear()
    await resume_releases(app.agents, app.gateways)
    assert app.release_queue.sent == []
    await app.clock.sleep(1)
    await resume_releases(app.agents, app.gateways)
    assert app.release_queue.sent == [(AGENT, 0)]


@in_virtual_time
async def test_a_message_that_comes_a_little_early_is_sent_again() -> None:
    app = await waiting_app()
    await sleep_until(app, WEDNESDAY_9 - timedelta(seconds=5))
    await app.released()
    assert waits(app)[1:] == [pytest.approx(5.0)]


@in_virtual_time
async def test_a_long_freeze_is_waited_for_in_parts() -> None:
    app = await waiting_app("windows: {freezes: {start: 2026-11-20, end: 2026-12-10, why: holidays}}")
    assert app.journal.lines[-1]["detail"] == "opens Fri 2026-12-11 00:00 UTC, after a freeze for holidays"
    assert waits(app) == [MAX_MESSAGE_DELAY.total_seconds()]
    await app.clock.sleep(MAX_MESSAGE_DELAY.total_seconds())
    assert await app.released() == ""
    assert len(waits(app)) == 2
    await sleep_until(app, datetime(2026, 12, 11, tzinfo=UTC))
    assert await app.released() == "LIVE"


@in_virtual_time
async def test_newer_pushes_supersede_the_one_that_waits() -> None:
    app = await waiting_app()
    for number, letter in enumerate("cdef", 3):
        await app.clock.sleep(60)
        assert await push_and_release(app, f"v{number}", letter) == ""
    assert len(waits(app)) == 1
    assert app.journal.reasons().count("SUPERSEDED") == 4
    await sleep_until(app, WEDNESDAY_9)
    assert await app.released() == "LIVE"
    assert await app.live() == "6"


@in_virtual_time
async def test_a_version_whose_secret_was_rotated_is_proven_again() -> None:
    app = await waiting_app()
    await rotate(app, "value-2")
    assert await app.released() == ""
    assert app.journal.reasons()[-1] == "WINDOW_CLOSED"
    assert app.foundry.create_count == 3
    await sleep_until(app, WEDNESDAY_9)
    assert await app.released() == "LIVE"
    assert await app.live() == "3"


@in_virtual_time
async def test_a_secret_that_is_rotated_just_before_the_opening_is_proven_first() -> None:
    app = await waiting_app(IN_BUSINESS_HOURS, debounce="30s")
    await sleep_until(app, WEDNESDAY_9 - timedelta(seconds=2))
    await rotate(app, "value-2")
    await app.clock.sleep(2)
    assert await app.released() == "LIVE"
    assert await app.live() == "3"


@in_virtual_time
async def test_an_operator_s_release_goes_through_and_is_recorded() -> None:
    app = await waiting_app()
    await user_commands.request_release(app.agents.agents[AGENT], "ann", app.gateways)
    assert await app.released() == "LIVE"
    assert await app.live() == "2"
    moved = next(line for line in app.journal.lines if line["reason"] == "TRAFFIC_MOVED")
    assert moved["detail"] == "outside of release.windows, as a person asked"


@pytest.mark.parametrize("mode", ["auto", "manual"])
@in_virtual_time
async def test_a_version_that_is_approved_while_its_window_is_closed_goes_through(mode: str) -> None:
    app = app_with(f"mode: {mode}, {IN_BUSINESS_HOURS}")
    await push_and_release(app, "v1", "a")
    if mode == "manual":
        assert app.journal.reasons()[-1] == "APPROVAL_WAITING"
        await user_commands.approve(AGENT, "ann", app.gateways)
        assert await app.released() == "", "the approval is of the version, not of the time"
        state, desired = await app.state_store.get_release(AGENT), await app.state_store.get_desired(AGENT)
        assert not awaits_approval(state)
        assert unfinished_since(desired, state, WEDNESDAY_9) == WEDNESDAY_9, "a lost message is sent again"
    assert app.journal.reasons()[-1] == "WINDOW_CLOSED"
    update = await user_commands.approve(AGENT, "ann", app.gateways)
    assert update.reason is Reason.APPROVED
    assert await app.released() == "LIVE"


@in_virtual_time
async def test_an_approved_version_goes_live_when_its_window_opens() -> None:
    app = app_with(f"mode: manual, {IN_BUSINESS_HOURS}")
    await push_and_release(app, "v1", "a")
    await user_commands.approve(AGENT, "ann", app.gateways)
    await app.released()
    await sleep_until(app, WEDNESDAY_9)
    assert await app.released() == "LIVE"


@in_virtual_time
async def test_a_rollback_goes_through_and_what_follows_it_waits() -> None:
    app = await waiting_app()
    await sleep_until(app, WEDNESDAY_9)
    assert await app.released() == "LIVE"
    await sleep_until(app, WEDNESDAY_9 + timedelta(hours=4))
    await user_commands.request_rollback(AGENT, "bad", "ann", app.gateways)
    assert await app.released() == "LIVE"
    assert await app.live() == "1"
    await rotate(app, "value-2")
    await app.released()
    assert app.journal.reasons()[-1] == "WINDOW_CLOSED"
    assert await app.live() == "1"


@in_virtual_time
async def test_a_failed_check_is_rolled_back_after_the_window_has_closed() -> None:
    app = await waiting_app(f"{IN_BUSINESS_HOURS}, check: {{ask: ping, expect: pong, within: 20s}}")
    app.foundry.answers["b" * 64] = ("pong", "no idea")
    await sleep_until(app, WEDNESDAY_9 + timedelta(hours=1, minutes=59, seconds=59))
    assert await app.released() == "CHECK_FAILED"
    assert await app.live() == "1"


@in_virtual_time
async def test_the_timer_requeues_what_waits_for_more_than_its_window() -> None:
    app = await waiting_app()
    await user_commands.approve(AGENT, "ann", app.gateways)
    app.release_queue.sent.clear()
    await resume_releases(app.agents, app.gateways)
    assert app.release_queue.sent == [(AGENT, 0)]
    assert START < app.clock.now() < WEDNESDAY_9
