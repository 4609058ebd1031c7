"""``slipway why``: which decisions and which state it shows."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from cli.commands.why import explain
from cli.exit_codes import NOTHING_TO_DO
from handlers.gateways.in_memory.journal import InMemoryJournal
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
    (hold,) = [entry for entry in result.data["state"] if entry["kind"] == "hold"]
    assert [hold[key] for key in ("reason", "by", "why", "until")] == ["HOLD_SET", "ann", "a rumour", None]
    assert f"now: {AGENT} hold: HOLD_SET by ann until removed: a rumour" in result.text


async def test_it_shows_a_rollback_to_the_image_and_away_from_it(app: App) -> None:
    await make_live(app, "a", "b")
    await run(app, "request_rollback", why="orders are lost")
    await app.released()
    for subject in ("v1", "v2"):
        result = await explain(context_of(app), subject, DAY)
        (rollback,) = [entry for entry in result.data["state"] if entry["kind"] == "rolled_back"]
        assert [rollback[key] for key in ("version", "by", "why")] == ["1", "ann", "orders are lost"]
        assert rollback["at"].startswith("2026-11-24T12:")
        assert f"now: {AGENT} rolled back: to version 1 by ann since 2026-11-24 12:" in result.text
        assert "UTC: orders are lost" in result.text
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


class ReadDays(InMemoryJournal):
    """Counts the days that are read."""

    days = 0

    async def read_day(self, day: datetime, containing: Collection[str] = ()) -> Sequence[Mapping[str, object]]:
        self.days += 1
        return await super().read_day(day, containing)


def line(at: datetime, reason: str, generation: int, **fields: Any) -> dict[str, object]:
    return {"at": at.isoformat(), "agent": AGENT, "reason": reason, "generation": generation, **fields}


async def test_what_belongs_to_a_release_is_looked_for_from_shortly_before_its_image_was_named(app: App) -> None:
    journal, image = ReadDays(), {"digest": f"sha256:{'a' * 64}", "tag": "v1"}
    app.gateways = replace(app.gateways, journal=journal)
    now = app.clock.now()
    first = now - timedelta(days=2)
    await journal.append(
        line(now - timedelta(days=20), "CONFIG_CHANGED", 1),
        line(first - timedelta(hours=23), "SECRET_ROTATED", 1),
        line(first, "CREATE", 1, version="1", **image),
        line(now, "LIVE", 1, version="1"),
    )
    decisions = (await explain(context_of(app), "v1", timedelta(days=30))).data["decisions"]
    assert [decision["reason"] for decision in decisions] == ["SECRET_ROTATED", "CREATE", "LIVE"]
    assert journal.days == 31 + 4


@pytest.mark.parametrize("at", ["yesterday", "2026-11-24T12:00:00"])
async def test_a_line_that_a_person_wrote_with_another_time_hides_none(app: App, at: str) -> None:
    await make_live(app, "a")
    await app.journal.append({"at": at, "agent": AGENT, "tag": "v1", "reason": "NOTE", "generation": 9})
    decisions = (await explain(context_of(app), "v1", DAY)).data["decisions"]
    assert "LIVE" in [decision["reason"] for decision in decisions]


def evaluated(app: App, version: str, reason: str, scores: object, **more: object) -> dict[str, object]:
    line = {"at": app.clock.now().isoformat(), "agent": AGENT, "version": version, "tag": f"v{version}"}
    return line | {"reason": reason, "scores": scores, "digest": f"sha256:{version * 64}"} | more


async def test_it_shows_the_scores_of_all_versions_of_an_agent_beside_one_that_was_evaluated(app: App) -> None:
    expect = {"criterion": "expect", "value": 0.875, "threshold": 0.9, "live": 1.0, "is_passed": False}
    latency = {"criterion": "latency_p95", "value": 2.5, "threshold": 2, "unit": " s", "is_passed": False}
    await app.journal.append(
        evaluated(app, "1", "EVALUATION_PASSED", json.dumps([expect | {"value": 1.0, "is_passed": True}])),
        evaluated(app, "2", "EVALUATION_FAILED", json.dumps([expect, latency]), report="https://ai.azure.com/r"),
        evaluated(app, "3", "EVALUATION_FAILED", "of another version"),
        evaluated(app, "4", "EVALUATION_FAILED", json.dumps([{"criterion": "expect"}])),
        evaluated(app, "5", "LIVE", json.dumps([expect])),
        evaluated(app, "6", "EVALUATION_FAILED", json.dumps([expect]), agent="second-agent"),
    )
    result = await explain(context_of(app), "v2", DAY)
    assert [(item["version"], item["scores"][0]["value"]) for item in result.data["scores"]] == [
        ("1", 1.0),
        ("2", 0.875),
    ]
    assert result.data["decisions"][0]["report"] == "https://ai.azure.com/r"
    lines = [re.split(" {2,}", line) for line in result.text.splitlines()]
    start = lines.index(["AGENT", "VERSION", "TAG", "expect", "latency_p95"])
    assert lines[start + 1 : start + 3] == [
        [AGENT, "1", "v1", "1"],
        [AGENT, "2", "v2", "0.875 (at least 0.9, live 1)", "2.5 s (at most 2 s)"],
    ]


async def test_no_journal_is_read_for_scores_where_nothing_was_evaluated(app: App) -> None:
    await make_live(app, "a")
    assert (await explain(context_of(app), "v1", DAY)).data["scores"] == []
