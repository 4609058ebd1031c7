"""``--watch``: what it prints, when it ends, and its exit code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from cli.commands import user_commands
from cli.commands.watch import watch
from cli.exit_codes import BAD_RESULT, DONE
from handlers.gateways.in_memory.journal import InMemoryJournal
from handlers.gateways.interfaces import NewLines
from tests.simulation.virtual_time import in_virtual_time
from tests.support.app import AGENT, App, app_with
from tests.unit.cli.support import context_of, make_live, run


async def test_it_ends_with_the_result_of_the_release(app: App, capsys: pytest.CaptureFixture[str]) -> None:
    await make_live(app, "a")
    since = app.clock.now()
    await run(app, "request_release")
    generation = (await app.state_store.get_desired(AGENT)).generation
    await app.released()
    result = await watch(context_of(app), {AGENT: generation}, since, as_json=True)
    assert (result.data, result.exit_code) == ({AGENT: "ALREADY_LIVE"}, DONE)
    assert [json.loads(line)["reason"] for line in capsys.readouterr().out.splitlines()] == [
        "RELEASE_REQUESTED",
        "ALREADY_LIVE",
    ]
    app.key_vault.forbidden = True
    await run(app, "request_release")
    await app.released()
    result = await watch(context_of(app), {AGENT: generation + 1}, since, as_json=False)
    assert (result.data, result.exit_code) == ({AGENT: "SECRET_FORBIDDEN"}, BAD_RESULT)


async def test_it_ends_when_the_release_waits_for_an_operator(app: App) -> None:
    await app.pushed()
    await run(app, "pause", why="lunch")
    result = await watch(context_of(app), {AGENT: 1}, app.clock.now(), as_json=True)
    assert result.data == {AGENT: "PAUSED"}


async def test_a_held_release_exits_with_1(app: App) -> None:
    await app.pushed()
    await run(app, "hold", why="a rumour")
    await app.released()
    result = await watch(context_of(app), {AGENT: 1}, app.clock.now(), as_json=True)
    assert (result.data, result.exit_code) == ({AGENT: "HELD"}, BAD_RESULT)


class LateJournal(InMemoryJournal):
    """Shows its lines a few seconds after the state store has the end of a release."""

    def __init__(self, app: App) -> None:
        super().__init__()
        self.app, self.lines, self.shown_from = app, app.journal.lines, app.clock.now() + timedelta(seconds=3)

    async def read_new(self, day: datetime, position: Mapping[str, int]) -> NewLines:
        late = self.app.clock.now() < self.shown_from
        return NewLines([], position) if late else await super().read_new(day, position)


async def test_it_waits_for_the_last_lines_of_the_release(app: App, capsys: pytest.CaptureFixture[str]) -> None:
    since = app.clock.now()
    await app.pushed()
    await app.released()
    app.gateways = replace(app.gateways, journal=LateJournal(app))
    await watch(context_of(app), {AGENT: 1}, since, as_json=True)
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["reason"] == "LIVE"


@in_virtual_time
async def test_it_ends_when_the_version_waits_for_its_window() -> None:
    app = app_with("windows: {allow: {days: mon}}")
    await app.pushed()
    await app.released()
    result = await watch(context_of(app), {AGENT: 1}, app.clock.now(), as_json=True)
    assert (result.data, result.exit_code) == ({AGENT: "WINDOW_CLOSED"}, DONE)


class CountedJournal(InMemoryJournal):
    """Counts the lines that are read."""

    read = 0

    async def read_new(self, day: datetime, position: Mapping[str, int]) -> NewLines:
        new = await super().read_new(day, position)
        self.read += len(new.lines)
        return new


@in_virtual_time
async def test_an_approved_version_that_waits_for_its_window_ends_the_watch_until_it_is_let_through() -> None:
    app = app_with("mode: manual, windows: {allow: {days: mon}}")
    await app.pushed()
    await app.released()
    await run(app, "approve")
    await app.released()
    result = await watch(context_of(app), {AGENT: 1}, app.clock.now(), as_json=True)
    assert (result.data, result.exit_code) == ({AGENT: "WINDOW_CLOSED"}, DONE)
    await run(app, "approve")
    await app.released()
    result = await watch(context_of(app), {AGENT: 1}, app.clock.now(), as_json=True)
    assert (result.data, result.exit_code) == ({AGENT: "LIVE"}, DONE)


async def test_it_reads_only_what_the_journal_receives_after_the_command(app: App) -> None:
    await make_live(app, "a")
    await run(app, "pause", why="lunch")
    journal = CountedJournal()
    journal.lines = [*app.journal.lines]
    app.gateways = replace(app.gateways, journal=journal)
    result = await user_commands.apply(
        context_of(app), "request_release", AGENT, {"by": None}, watch=True, as_json=True
    )
    assert result.data == {AGENT: "PAUSED"}
    assert journal.read == len(journal.lines) - len(app.journal.lines) == 1
