"""A version must answer a dataset well enough before it gets traffic; it is evaluated once, whatever happens."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from core.agents_file.loader import load_agents
from core.evaluation import EvaluationRun, RunStatus
from core.reasons import Reason
from handlers import user_commands
from handlers.gateways.errors import PermanentError, TransientError
from handlers.gateways.in_memory.foundry import InMemoryFoundry
from tests.simulation.virtual_time import VirtualClock, in_virtual_time
from tests.support.app import AGENT, WITH_RELEASE, App, push_and_release

Rows = list[dict[str, Any]]
ROWS: Rows = [
    {"ask": "capital of France?", "expect": "(?i)paris", "reference": "Paris"},
    {"ask": "capital of Spain?", "expect": "(?i)madrid", "reference": "Madrid"},
]
EXPECT = "expect: {pass_rate: 0.9}"
JUDGED = "builtin.coherence: {mean: 3.5}"


def lines(rows: Rows) -> bytes:
    return "\n".join(map(json.dumps, rows)).encode()


def spec(criteria: str, more: str = "") -> str:
    judge = "judge: gpt-5-mini, " if "coherence" in criteria else ""
    return f"evaluate: {{dataset: rows.jsonl, criteria: {{{criteria}}}, {judge}{more}}}"


def app_with(criteria: str = EXPECT, more: str = "", kind: Any = InMemoryFoundry, rows: Rows = ROWS) -> App:
    agents = load_agents((WITH_RELEASE % spec(criteria, more)).encode(), lambda name: lines(rows))
    app = App(clock=VirtualClock(), agents=agents, kind=kind)
    app.foundry.answers["a" * 64] = "Paris and Madrid"
    return app


def line_of(app: App, reason: str) -> Mapping[str, object]:
    (line,) = (line for line in app.journal.lines if line["reason"] == reason)
    return line


@in_virtual_time
async def test_a_version_that_answers_well_goes_live_with_its_scores() -> None:
    app = app_with()
    assert await push_and_release(app, "v1", "a") == "LIVE"
    assert [line["reason"] for line in app.journal.lines if "EVALUATION" in str(line["reason"])] == [
        "EVALUATION_RUNNING",
        "EVALUATION_PASSED",
    ]
    line = line_of(app, "EVALUATION_PASSED")
    assert line["detail"] == "expect 1 (threshold 0.9)"
    (score,) = json.loads(str(line["scores"]))
    assert (score["criterion"], score["value"], score["threshold"], score["is_passed"]) == ("expect", 1.0, 0.9, True)
    good = (await app.state_store.get_release(AGENT)).last_good
    assert good is not None
    assert [score.value for score in good.scores] == [1.0]
    assert app.foundry.run_count == 0, "Slipway grades expect itself"
    assert not app.foundry.agents[AGENT].probe_sessions


@in_virtual_time
async def test_a_version_that_answers_worse_is_refused_with_its_scores_and_without_traffic() -> None:
    app = app_with()
    await push_and_release(app, "v1", "a")
    app.foundry.answers["b" * 64] = "Paris"
    assert await push_and_release(app, "v2", "b") == "EVALUATION_FAILED"
    assert line_of(app, "EVALUATION_FAILED")["detail"] == "failed: expect 0.5 (threshold 0.9)"
    assert await app.live() == "1"
    release = await app.state_store.get_release(AGENT)
    assert [hold.reason for hold in release.holds] == ["EVALUATION_FAILED"]


@in_virtual_time
async def test_foundry_grades_the_answers_in_one_run_whose_id_is_stored_before_it_is_read() -> None:
    app = app_with(f"{EXPECT}, {JUDGED}")
    assert await push_and_release(app, "v1", "a") == "LIVE"
    assert app.foundry.run_count == 1
    line = line_of(app, "EVALUATION_PASSED")
    assert line["detail"] == "expect 1 (threshold 0.9); builtin.coherence 4 (threshold 3.5)"
    assert str(line["report"]).startswith("https://ai.azure.com/")
    (evaluation,) = app.foundry.evaluations.values()
    (run,) = evaluation.runs.values()
    assert run.rows[0] == {"query": "capital of France?", "response": "Paris and Madrid", "ground_truth": "Paris"}
    stored = json.dumps([str(write) for write in app.state_store.__dict__.values()])
    assert "capital of France" not in stored + json.dumps(app.journal.lines, default=str)


@in_virtual_time
async def test_a_version_is_compared_with_the_live_one_on_the_same_rows() -> None:
    app = app_with(f"{EXPECT.replace('0.9', '0.4')}, {JUDGED}", "no_worse_than: live, margin: 0.1")
    app.foundry.judge = lambda _, row: (4.0 if "Madrid" in row["response"] else 3.8, True)
    await push_and_release(app, "v1", "a")
    app.foundry.answers["b" * 64] = "Paris"
    assert await push_and_release(app, "v2", "b") == "EVALUATION_FAILED"
    failed = "failed: expect 0.5 (threshold 0.4, live 1); failed: builtin.coherence 3.8 (threshold 3.5, live 4)"
    assert line_of(app, "EVALUATION_FAILED")["detail"] == failed
    assert app.foundry.run_count == 2, "the scores of the live version are known"


@in_virtual_time
async def test_a_live_version_without_scores_answers_the_same_rows() -> None:
    app = app_with()
    app.agents = load_agents((WITH_RELEASE % "mode: auto").encode())
    await push_and_release(app, "v1", "a")
    criteria = f"{EXPECT.replace('0.9', '0.4')}, {JUDGED}"
    app.agents = app_with(criteria, "no_worse_than: live").agents
    app.foundry.answers["b" * 64] = "Paris"
    app.foundry.judge = lambda _, row: (4.0 if "Madrid" in row["response"] else 3.8, True)
    assert await push_and_release(app, "v2", "b") == "EVALUATION_FAILED"
    failed = "failed: expect 0.5 (threshold 0.4, live 1); failed: builtin.coherence 3.8 (threshold 3.5, live 4)"
    assert line_of(app, "EVALUATION_FAILED")["detail"] == failed
    assert app.foundry.run_count == 1


@in_virtual_time
async def test_a_row_without_an_answer_fails_every_criterion_and_is_not_sent() -> None:
    app = app_with(f"{EXPECT}, {JUDGED}")
    app.foundry.answers["a" * 64] = ""
    assert await push_and_release(app, "v1", "a") == "EVALUATION_FAILED"
    assert "failed: builtin.coherence 0 (threshold 3.5)" in str(line_of(app, "EVALUATION_FAILED")["detail"])
    assert app.foundry.run_count == 0


@in_virtual_time
@pytest.mark.parametrize(
    ("ends", "verdict", "detail"),
    [
        (RunStatus.BROKEN, True, "the run ended as failed"),
        (RunStatus.RUNNING, True, "no result within 600 s"),
        (RunStatus.COMPLETED, None, "2 results have no verdict"),
    ],
)
async def test_a_run_without_scores_holds_nothing_and_is_tried_again(
    ends: RunStatus, verdict: bool | None, detail: str
) -> None:
    app = app_with(JUDGED)
    app.foundry.run_ends, app.foundry.judge = ends, lambda _, __: (4.0, verdict)
    assert await push_and_release(app, "v1", "a") == ""
    assert line_of(app, "EVALUATION_INCONCLUSIVE")["detail"] == f"attempt 1 of 3: {detail}"
    await app.clock.sleep(301)
    app.foundry.run_ends, app.foundry.judge = RunStatus.COMPLETED, lambda _, __: (4.0, True)
    assert await app.released() == "LIVE"
    assert app.foundry.run_count == 2


@in_virtual_time
async def test_after_three_attempts_the_release_ends_without_a_hold_until_a_person_asks() -> None:
    app = app_with(JUDGED)
    app.foundry.run_ends = RunStatus.BROKEN
    await push_and_release(app, "v1", "a")
    for _ in range(2):
        await app.clock.sleep(301)
        ended = await app.released()
    assert ended == "EVALUATION_INCONCLUSIVE"
    assert not (await app.state_store.get_release(AGENT)).holds
    app.foundry.run_ends = RunStatus.COMPLETED
    await user_commands.request_release(app.agents.agents[AGENT], "ann", app.gateways)
    assert await app.released() == "LIVE"
    assert app.foundry.run_count == 4


class Failing(InMemoryFoundry):
    """Fails to start runs as a test says, until a run is looked for."""

    error: Exception | None = None
    is_started = False

    async def start_run(self, evaluation: str, name: str, rows: Sequence[Mapping[str, str]]) -> str:
        run_id = await super().start_run(evaluation, name, rows) if self.is_started or self.error is None else ""
        if self.error is not None:
            raise self.error
        return run_id

    async def find_run(self, evaluation: str, name: str) -> str | None:
        self.error = None
        return await super().find_run(evaluation, name)


def failing_app(error: Exception, *, is_started: bool = False) -> tuple[App, Failing]:
    app = app_with(JUDGED, kind=Failing)
    assert isinstance(app.foundry, Failing)
    app.foundry.error, app.foundry.is_started = error, is_started
    return app, app.foundry


@in_virtual_time
@pytest.mark.parametrize("is_started", [True, False])
async def test_a_run_whose_start_has_an_unclear_answer_is_looked_for(is_started: bool) -> None:
    app, foundry = failing_app(TransientError("Foundry", "503", "start", unclear=True), is_started=is_started)
    assert await push_and_release(app, "v1", "a") == "LIVE"
    assert foundry.run_count == 1


@in_virtual_time
async def test_a_refused_run_is_tried_again_after_the_time_that_the_service_asks_for() -> None:
    app, foundry = failing_app(TransientError("Foundry", "429", "start", throttled=True, retry_after=900))
    assert await push_and_release(app, "v1", "a") == ""
    detail = "attempt 1 of 3: Foundry refuses evaluations now: 429"
    assert line_of(app, "EVALUATION_INCONCLUSIVE")["detail"] == detail
    assert app.release_queue.sent[-1][1] == 900
    foundry.error = None
    await app.clock.sleep(901)
    assert await app.released() == "LIVE"


class Lagging(InMemoryFoundry):
    """Does not know a run for some seconds after it was started, or never."""

    missing_seconds = 0.0
    started_at = 0.0

    async def start_run(self, evaluation: str, name: str, rows: Sequence[Mapping[str, str]]) -> str:
        self.started_at = self._clock.monotonic()
        return await super().start_run(evaluation, name, rows)

    async def get_run(self, evaluation: str, run: str) -> EvaluationRun | None:
        is_missing = self._clock.monotonic() - self.started_at < self.missing_seconds
        return None if is_missing else await super().get_run(evaluation, run)


@in_virtual_time
@pytest.mark.parametrize(("missing_seconds", "ended", "runs"), [(30.0, "LIVE", 1), (1e6, "", 1)])
async def test_a_run_that_does_not_show_yet_is_waited_for(missing_seconds: float, ended: str, runs: int) -> None:
    app = app_with(JUDGED, kind=Lagging)
    assert isinstance(app.foundry, Lagging)
    app.foundry.missing_seconds = missing_seconds
    assert await push_and_release(app, "v1", "a") == ended
    assert app.foundry.run_count == runs
    problems = [line["detail"] for line in app.journal.lines if line["reason"] == "EVALUATION_INCONCLUSIVE"]
    assert problems == ([] if ended else ["attempt 1 of 3: the run does not exist"])


@in_virtual_time
async def test_an_evaluation_that_does_not_show_yet_is_tried_again() -> None:
    app, foundry = failing_app(PermanentError("Foundry", "not_found", "start a run", status=404))
    assert await push_and_release(app, "v1", "a") == ""
    detail = "attempt 1 of 3: Foundry does not have the evaluation that it has just created"
    assert line_of(app, "EVALUATION_INCONCLUSIVE")["detail"] == detail
    foundry.error = None
    await app.clock.sleep(301)
    assert await app.released() == "LIVE"


@in_virtual_time
async def test_a_judge_that_does_not_exist_ends_the_release_without_a_hold() -> None:
    app, _ = failing_app(PermanentError("Foundry", "DeploymentNotFound", "start a run", status=404))
    assert await push_and_release(app, "v1", "a") == "EVALUATION_INCONCLUSIVE"
    assert "DeploymentNotFound" in str(line_of(app, "EVALUATION_INCONCLUSIVE")["detail"])
    assert not (await app.state_store.get_release(AGENT)).holds


@in_virtual_time
async def test_a_rollback_is_not_evaluated() -> None:
    app = app_with()
    await push_and_release(app, "v1", "a")
    app.foundry.answers["b" * 64] = "Paris and Madrid"
    assert await push_and_release(app, "v2", "b") == "LIVE"
    app.foundry.answers["a" * 64] = "nothing"
    await user_commands.request_rollback(AGENT, "worse", "ann", app.gateways, "1")
    assert await app.released() == "LIVE"
    assert await app.live() == "1"
    assert app.journal.reasons().count(Reason.EVALUATION_PASSED) == 2


@in_virtual_time
@pytest.mark.parametrize(
    "row",
    [
        {"ask": "is it canary-3c2d?", "expect": "no"},
        {"post": {"deep": ["is it canary-3c2d?"]}, "contains": ["no"]},
        {"ask": "which?", "schema": {"const": "canary-3c2d"}},
        {"ask": "which?", "contains": "canary-3c2d"},
        {"ask": f"decode {base64.b64encode(b'canary-3c2d').decode()}", "expect": "no"},
    ],
)
async def test_a_row_with_the_value_of_a_secret_is_not_asked(row: dict[str, Any]) -> None:
    app = app_with(rows=[*ROWS, row])
    assert await push_and_release(app, "v1", "a") == ""
    detail = "line 3 of rows.jsonl holds the value of a secret; remove it, and change the secret"
    assert line_of(app, "EVALUATION_INCONCLUSIVE")["detail"] == f"attempt 1 of 3: {detail}"
    assert app.foundry.probes == []


@in_virtual_time
async def test_an_answer_that_repeats_a_secret_is_masked_in_the_run() -> None:
    app = app_with(JUDGED)
    app.foundry.answers["a" * 64] = "Paris, canary-3c2d"
    assert await push_and_release(app, "v1", "a") == "LIVE"
    (evaluation,) = app.foundry.evaluations.values()
    (run,) = evaluation.runs.values()
    assert [row["response"] for row in run.rows] == ["Paris, ***"] * 2
