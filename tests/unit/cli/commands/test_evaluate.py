"""``slipway evaluate``: the scores of a version on demand, and an exit code for pipelines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from cli.commands.evaluate import grade
from cli.exit_codes import BAD_RESULT, DONE, NOTHING_TO_DO, SERVICE_ERROR, UsageError
from cli.runner import CommandResult
from core.agents_file.loader import load_agents
from core.evaluation import RunStatus
from core.model import Answer
from handlers.gateways.errors import TransientError
from handlers.gateways.in_memory.foundry import InMemoryFoundry
from tests.simulation.virtual_time import VirtualClock, in_virtual_time
from tests.support.app import AGENT, WITH_RELEASE, App
from tests.unit.cli.support import context_of

DATASET = [
    {"ask": "capital of France?", "expect": "(?i)paris", "reference": "Paris"},
    {"ask": "capital of Spain?", "expect": "(?i)madrid", "reference": "Madrid"},
]
IMAGE_B = f"demo.azurecr.io/agents/hello@sha256:{'b' * 64}"
EXPECT, JUDGED = "expect: {pass_rate: 0.9}", "builtin.coherence: {mean: 3.5}"


async def live_app(criteria: str = EXPECT, more: str = "", rows: list[Any] = DATASET) -> App:
    """Version 1, which answers all, is live; version 2, which answers half, is active."""
    judge = "judge: gpt-5-mini, " if "builtin" in criteria else ""
    evaluate = f"evaluate: {{dataset: rows.jsonl, criteria: {{{criteria}}}, {judge}{more}}}"
    data = "\n".join(map(json.dumps, rows)).encode()
    app = App(clock=VirtualClock(), agents=load_agents((WITH_RELEASE % evaluate).encode(), lambda _: data))
    app.foundry.answers |= {"a" * 64: "Paris and Madrid", "b" * 64: "Paris"}
    await app.pushed("v1", "a")
    assert await app.released() == "LIVE"
    await app.foundry.create_version(AGENT, replace(app.foundry.agents[AGENT].definitions["1"], image=IMAGE_B), {})
    await app.clock.sleep(100)
    app.foundry.evaluations.clear()
    return app


async def graded(app: App, version: str | None = None) -> CommandResult:
    result = await grade(context_of(app), AGENT, version)
    assert not app.foundry.agents[AGENT].probe_sessions, "every session has ended"
    return result


@in_virtual_time
async def test_the_live_version_passes_with_its_scores() -> None:
    app = await live_app()
    state, lines = await app.state_store.get_release(AGENT), len(app.journal.lines)
    result = await graded(app)
    assert (result.exit_code, result.data["version"], result.data["result"]) == (DONE, "1", "passed")
    assert result.text.splitlines() == [
        "version 1 of hello-agent: passed",
        "CRITERION  SCORE  THRESHOLD     LIVE  RESULT",
        "expect     1      at least 0.9        passed",
    ]
    assert await app.state_store.get_release(AGENT) == state, "it writes nothing"
    assert len(app.journal.lines) == lines


@in_virtual_time
async def test_a_version_that_answers_worse_fails_a_pipeline() -> None:
    result = await graded(await live_app(), "2")
    assert (result.exit_code, result.data["result"]) == (BAD_RESULT, "failed")
    (score,) = result.data["scores"]
    assert (score["criterion"], score["value"], score["threshold"], score["is_passed"]) == ("expect", 0.5, 0.9, False)


@in_virtual_time
async def test_a_version_is_compared_with_the_live_one_where_the_file_says_so() -> None:
    app = await live_app("expect: {pass_rate: 0.4}", "no_worse_than: live, margin: 0.1")
    result = await graded(app, "2")
    assert [(score["live"], score["is_passed"]) for score in result.data["scores"]] == [(1.0, False)]
    assert [score["live"] for score in (await graded(app)).data["scores"]] == [None]


@in_virtual_time
async def test_foundry_grades_answers_of_both_versions_in_one_run() -> None:
    app = await live_app(JUDGED, "no_worse_than: live")

    def judge(_: str, row: Mapping[str, str]) -> tuple[float, bool]:
        return (5.0, True) if "Madrid" in row["response"] else (4.0, True)

    app.foundry.judge = judge
    result = await graded(app, "2")
    assert [(score["value"], score["live"]) for score in result.data["scores"]] == [(4.0, 5.0)]
    assert "report: https://ai.azure.com/" in result.text
    (evaluation,) = app.foundry.evaluations.values()
    (run,) = evaluation.runs.values()
    assert len(run.rows) == 4


@in_virtual_time
async def test_a_secret_in_an_answer_does_not_reach_the_evaluation() -> None:
    app = await live_app(JUDGED)
    app.foundry.answers["a" * 64] = "the key is canary-3c2d"
    await graded(app)
    (evaluation,) = app.foundry.evaluations.values()
    (run,) = evaluation.runs.values()
    assert [row["response"] for row in run.rows] == ["the key is ***"] * 2


@in_virtual_time
async def test_rows_without_an_answer_are_named_by_their_lines() -> None:
    app = await live_app()
    app.foundry.answers["a" * 64] = (Answer(400, code="invalid_request", origin="agent"), "pong")
    result = await graded(app)
    assert result.exit_code == BAD_RESULT
    assert result.text.splitlines()[-3:] == [
        "2 of 2 rows have no answer:",
        "  line 1: answered 400 invalid_request",
        "  line 2: answered 400 invalid_request",
    ]


@pytest.mark.parametrize(
    ("status", "detail"), [(RunStatus.BROKEN, "the run ended as failed"), (RunStatus.RUNNING, "no result within 600 s")]
)
def test_a_run_without_a_result_says_nothing_about_the_version(status: RunStatus, detail: str) -> None:
    @in_virtual_time
    async def check() -> None:
        app = await live_app(JUDGED)
        app.foundry.run_ends = status
        result = await graded(app)
        assert (result.exit_code, result.data["scores"]) == (SERVICE_ERROR, [])
        assert result.text == f"version 1 of hello-agent: inconclusive: {detail}"

    check()


class Busy(InMemoryFoundry):
    """Starts no run."""

    throttled = True

    async def start_run(self, evaluation: str, name: str, rows: Sequence[Mapping[str, str]]) -> str:
        raise TransientError("Foundry", "429", "start a run", throttled=self.throttled)


@in_virtual_time
async def test_a_rate_that_foundry_limits_says_nothing_about_the_version() -> None:
    app, made = await live_app(JUDGED), Busy(VirtualClock())
    made.agents, made.answers = app.foundry.agents, app.foundry.answers
    app.gateways = replace(app.gateways, foundry=made)
    result = await grade(context_of(app), AGENT, None)
    assert (result.exit_code, result.data["detail"]) == (SERVICE_ERROR, "Foundry starts no evaluation now: 429")
    made.throttled = False
    with pytest.raises(TransientError):
        await grade(context_of(app), AGENT, None)


@in_virtual_time
async def test_a_quota_says_nothing_about_the_version() -> None:
    app = await live_app()
    app.foundry.answers["a" * 64] = (Answer(429, code="QuotaExceeded", origin="service"), "pong")
    result = await graded(app)
    assert result.exit_code == SERVICE_ERROR
    assert result.data["detail"] == "version 1: row 1: answered 429 QuotaExceeded"


@in_virtual_time
async def test_what_cannot_be_evaluated_is_one_clear_line() -> None:
    app = await live_app()
    with pytest.raises(UsageError, match=r"agents\.yaml has no agent helo-agent; did you mean hello-agent"):
        await grade(context_of(app), "helo-agent", None)
    with pytest.raises(UsageError, match="hello-agent has no version 9; `slipway versions hello-agent` lists them"):
        await grade(context_of(app), AGENT, "9")
    with pytest.raises(UsageError, match=r"hello-agent has no release\.evaluate in agents\.yaml"):
        await grade(context_of(App()), AGENT, None)
    app.foundry.agents.clear()
    assert (await grade(context_of(app), AGENT, None)).exit_code == NOTHING_TO_DO
