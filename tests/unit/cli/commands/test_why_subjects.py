"""``slipway why`` of an agent, of what waits or was given up, and the last line that needs a person."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from cli.commands.why import explain
from cli.exit_codes import NOTHING_TO_DO, UsageError
from cli.why_problems import open_problems
from core.reasons import Reason
from handlers.events.broken_config import record_broken_config
from handlers.poison import handle_poison_message
from handlers.telemetry.decision_log import DecisionLog
from tests.support.app import AGENT, REPOSITORY, App
from tests.support.builders import push_data, push_event
from tests.unit.cli.support import context_of, make_live, run

DAY = timedelta(days=1)
LOST = push_event(id="lost-1", data=push_data(repository=REPOSITORY, tag="v7", digest=f"sha256:{'7' * 64}"))


def kinds(data: dict[str, Any]) -> list[str]:
    return [entry["kind"] for entry in data["state"]]


async def test_it_finds_an_agent_by_its_name(app: App) -> None:
    await make_live(app, "a")
    result = await explain(context_of(app), AGENT, DAY)
    assert {decision["agent"] for decision in result.data["decisions"]} == {AGENT}
    assert [decision["reason"] for decision in result.data["decisions"]][-1] == "LIVE"
    assert kinds(result.data) == ["desired", "last_good"]
    assert result.data["problems"] == []


async def test_it_shows_the_newest_decisions_of_an_agent_with_many(app: App) -> None:
    await make_live(app, *"abcdefabcdef")
    result = await explain(context_of(app), AGENT, DAY)
    assert result.text.startswith(
        f"{len(result.data['decisions']) - 60} earlier decisions are not shown; --json has them"
    )


async def test_it_shows_one_agent_of_two_that_follow_a_repository(app: App) -> None:
    await app.pushed("v1", "a")
    both = (await explain(context_of(app), "v1", DAY)).data
    alone = (await explain(context_of(app), "v1", DAY, "second-agent")).data
    assert {entry["agent"] for entry in both["decisions"] + both["state"]} == {AGENT, "second-agent"}
    assert {entry["agent"] for entry in alone["decisions"] + alone["state"]} == {"second-agent"}
    with pytest.raises(UsageError, match="did you mean second-agent"):
        await explain(context_of(app), "v1", DAY, "secondagent")


async def test_it_shows_a_pause_and_the_command_that_ends_it(app: App) -> None:
    await make_live(app, "a")
    await run(app, "pause", why="lunch")
    await app.pushed("v2", "b")
    await app.released()
    for subject in ("v2", AGENT):
        result = await explain(context_of(app), subject, DAY)
        (pause,) = [entry for entry in result.data["state"] if entry["kind"] == "pause"]
        assert (pause["why"], pause["by"], pause["until"]) == ("lunch", "ann", None)
        assert result.data["problems"][-1]["remedy"] == f"slipway resume {AGENT}"
        assert f"slipway resume {AGENT}" in result.text
    assert "pause" not in kinds((await explain(context_of(app), "v1", DAY)).data)
    await run(app, "unpause")
    assert (await explain(context_of(app), AGENT, DAY)).data["problems"] == []


async def test_a_pause_hides_no_failure_and_a_failure_no_pause(app: App) -> None:
    app.key_vault.forbidden = True
    await app.pushed("v1", "a")
    await app.released()
    app.clock.passed += 60
    await run(app, "pause", why="lunch", until="1h")
    problems = (await explain(context_of(app), AGENT, DAY)).data["problems"]
    assert [problem["reason"] for problem in problems] == ["SECRET_FORBIDDEN", "PAUSED"]
    app.clock.passed += 3600
    problems = (await explain(context_of(app), AGENT, DAY)).data["problems"]
    assert [problem["reason"] for problem in problems] == ["SECRET_FORBIDDEN"], "the pause is over"


@pytest.mark.parametrize("subject", ["v7", "lost-1", "sha256:777777", f"{REPOSITORY}:v7", AGENT])
async def test_it_finds_a_poisoned_event_until_it_was_sent_again(app: App, subject: str) -> None:
    await handle_poison_message("events", json.dumps(LOST), app.gateways)
    result = await explain(context_of(app), subject, DAY)
    (problem,) = result.data["problems"]
    assert (problem["reason"], problem["remedy"]) == ("POISONED", "slipway replay --poisoned-since 24h")
    assert "slipway replay --poisoned-since 24h" in result.text
    app.clock.passed += 60
    await app.event(LOST)
    assert (await explain(context_of(app), subject, DAY)).data["problems"] == []


def test_an_event_that_was_not_published_hides_no_failure() -> None:
    failed = {"agent": AGENT, "reason": "VERIFY_FAILED", "severity": "error"}
    unpublished = {"agent": AGENT, "reason": "OUTCOME_NOT_PUBLISHED", "severity": "warning"}
    assert [found["reason"] for found in open_problems([failed, unpublished])] == [
        "VERIFY_FAILED",
        "OUTCOME_NOT_PUBLISHED",
    ]


async def test_it_finds_a_poisoned_release(app: App) -> None:
    await handle_poison_message("releases", json.dumps({"target": AGENT}), app.gateways)
    (problem,) = (await explain(context_of(app), AGENT, DAY)).data["problems"]
    assert (problem["reason"], problem["agent"]) == ("POISONED", AGENT)


@pytest.mark.parametrize("message", ["no JSON", "[]", json.dumps({"id": "x", "type": "y", "data": "text"})])
async def test_a_poisoned_message_that_is_no_event_is_left_out(app: App, message: str) -> None:
    await handle_poison_message("events", f"{message} v7", app.gateways)
    assert (await explain(context_of(app), "v7", DAY)).exit_code == NOTHING_TO_DO


@pytest.mark.parametrize("subject", ["v7", "lost-1", AGENT])
async def test_it_finds_an_event_that_waits_for_agents_yaml(app: App, subject: str) -> None:
    await record_broken_config("agents.yaml: line 3: unknown key", json.dumps(LOST), app.settings, app.gateways)
    result = await explain(context_of(app), subject, DAY)
    (problem,) = result.data["problems"]
    assert (problem["reason"], problem["detail"]) == ("CONFIG_INVALID", "agents.yaml: line 3: unknown key")
    app.clock.passed += 60
    await app.event(LOST)
    assert (await explain(context_of(app), subject, DAY)).data["problems"] == []


async def test_a_wrong_file_is_found_by_the_name_of_an_agent(app: App) -> None:
    await record_broken_config("agents.yaml: line 3: unknown key", "", app.settings, app.gateways)
    await record_broken_config("agents.yaml: line 4", json.dumps({"target": AGENT}), app.settings, app.gateways)
    problems = (await explain(context_of(app), AGENT, DAY)).data["problems"]
    assert [problem["reason"] for problem in problems] == ["CONFIG_INVALID"] * 2


async def test_a_file_that_was_wrong_is_forgotten_once_the_app_could_read_it(app: App) -> None:
    await record_broken_config("agents.yaml: line 3: unknown key", "", app.settings, app.gateways)
    app.clock.passed += 60
    await run(app, "pause", why="lunch")
    problems = (await explain(context_of(app), AGENT, DAY)).data["problems"]
    assert {problem["reason"] for problem in problems} == {"CONFIG_INVALID", "PAUSED"}, "a person's command reads none"
    await run(app, "unpause")
    await make_live(app, "a")
    assert (await explain(context_of(app), AGENT, DAY)).data["problems"] == []


async def test_what_is_said_of_the_commit_of_a_release_is_said_once_and_is_not_what_helps(app: App) -> None:
    app.key_vault.forbidden = True
    await app.pushed("v1", "a")
    await app.released()
    decisions = DecisionLog(app.gateways.journal, app.clock, {"step": "commit_status"})
    for seconds in (1, 2, 3):
        app.clock.passed += seconds
        decisions.record(Reason.COMMIT_UNKNOWN, agent=AGENT, generation=1, digest=f"sha256:{'a' * 64}")
    await decisions.flush()
    result = await explain(context_of(app), AGENT, DAY)
    assert [line["reason"] for line in result.data["decisions"]].count("COMMIT_UNKNOWN") == 3
    assert result.text.count("COMMIT_UNKNOWN") == 1
    assert "labels org.opencontainers" not in result.text
    help_text = Reason.SECRET_FORBIDDEN.help_for(AGENT)
    assert result.text.count(help_text) == 1, "and not below the list and again with the state"


async def test_it_says_that_the_agent_was_deleted(app: App) -> None:
    await make_live(app, "a")
    app.foundry.agents.clear()
    app.clock.passed += 3600
    await app.released()
    result = await explain(context_of(app), AGENT, DAY)
    assert [problem["remedy"] for problem in result.data["problems"]] == [f"slipway retry {AGENT}"]
    (entry,) = [entry for entry in result.data["state"] if entry["kind"] == "release"]
    assert (entry["state"], entry["remedy"]) == ("AGENT_DELETED", f"slipway retry {AGENT}")


async def test_the_last_line_that_is_more_than_information_comes_with_its_command(app: App) -> None:
    app.key_vault.forbidden = True
    await app.pushed("v1", "a")
    await app.released()
    await app.event(push_event(id="event-v1", eventTime=app.clock.now().isoformat(), data=push_data(tag="v1")))
    result = await explain(context_of(app), "v1", DAY, AGENT)
    (problem,) = result.data["problems"]
    assert (problem["reason"], problem["remedy"]) == ("SECRET_FORBIDDEN", f"slipway retry {AGENT}")
    app.key_vault.forbidden = False
    await run(app, "request_release")
    assert await app.released() == "LIVE"
    assert (await explain(context_of(app), "v1", DAY, AGENT)).data["problems"] == []


async def test_it_says_that_events_wait(app: App) -> None:
    app.release_queue.stuck["events"] = 2
    assert "2 events wait in the queue" in (await explain(context_of(app), "v9", DAY)).text
