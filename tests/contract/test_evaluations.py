"""Evaluations of Foundry: one suite for the gateway in memory and the real client against the stand-in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from yarl import URL

from core.agents_file.dataset import MAX_ROWS
from core.evaluation import MAX_ROWS_BYTES, MAX_ROWS_VALUES, EvaluationRun, RowScore, RunStatus, ServiceCriterion
from handlers.gateways.errors import PermanentError, TransientError
from handlers.gateways.foundry.calls import FoundryCalls
from handlers.gateways.foundry.evaluations import get_run
from handlers.gateways.foundry.rate_limiter import FoundryRateLimiter
from handlers.gateways.in_memory.clock import ManualClock
from handlers.gateways.in_memory.evaluations import InMemoryEvaluations
from handlers.gateways.in_memory.foundry import InMemoryFoundry
from handlers.gateways.interfaces import Foundry
from local.foundry.server import Foundry as StandIn
from local.tls import Authority
from tests.contract.test_foundry import LocalFoundry
from tests.support.local_clients import plan_faults

if TYPE_CHECKING:
    from azure.ai.projects.aio import AIProjectClient
    from azure.core.rest import HttpRequest

COHERENCE = ServiceCriterion("builtin.coherence", "builtin.coherence", "gpt-judge")
EXACT = ServiceCriterion("string_check", "string_check", operation="eq")
NEAR = ServiceCriterion("text_similarity", "text_similarity", metric="fuzzy_match", passes_at=0.8)
PARIS = {"query": "Capital?", "response": "Paris", "ground_truth": "Paris"}
ROWS = [PARIS, PARIS | {"response": "Lyon"}]
SECONDS = 16.0


@dataclass
class ServiceUnderTest:
    """A gateway, its clock, and how runs go behind it."""

    foundry: Foundry
    clock: ManualClock
    service: InMemoryEvaluations | StandIn

    def end(self, status: RunStatus) -> None:
        """Let each run end so."""
        if isinstance(self.service, StandIn):
            words = {RunStatus.BROKEN: "failed", RunStatus.RUNNING: "Partial", RunStatus.COMPLETED: "completed"}
            self.service.evaluations.script.ends = words[status]
        else:
            self.service.run_ends = status

    def remove_model(self, name: str) -> None:
        """Let there be no deployment of this name."""
        if isinstance(self.service, StandIn):
            self.service.evaluations.script.missing_models.append(name)
        else:
            self.service.models.discard(name)

    def fail_row(self, row: int) -> None:
        """Let no evaluator grade a row."""
        if isinstance(self.service, StandIn):
            self.service.evaluations.script.failing_rows = [row]
            return
        response = ROWS[row]["response"]

        def judge(_: str, found: Mapping[str, str]) -> tuple[float | None, bool | None]:
            return (None, None) if found["response"] == response else (4.0, True)

        self.service.judge = judge

    async def start(self, *criteria: ServiceCriterion, rows: list[dict[str, str]] | None = None) -> tuple[str, str]:
        """The ids of an evaluation and its run."""
        evaluation = await self.foundry.create_evaluation("hello", "2", criteria)
        return evaluation, await self.foundry.start_run(evaluation, "hello 2 f1", ROWS if rows is None else rows)

    async def run(self, *criteria: ServiceCriterion, rows: list[dict[str, str]] | None = None) -> EvaluationRun:
        """A run after its time."""
        evaluation, run = await self.start(*criteria, rows=rows)
        self.clock.passed += SECONDS
        found = await self.foundry.get_run(evaluation, run)
        assert found is not None
        return found


@dataclass
class RealService(ServiceUnderTest):
    service: StandIn
    url: str


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[RealService]:
    clock, authority = ManualClock(), Authority(tmp_path)
    stand_in = StandIn(clock=lambda: clock.now().timestamp())
    stand_in.evaluations.script.seconds = SECONDS
    url = await stand_in.start(tls=authority.server())
    foundry = LocalFoundry(f"{url}/api/projects/demo", authority.ca)
    yield RealService(foundry, clock, stand_in, url)
    await foundry.close()
    await stand_in.stop()


@pytest.fixture(params=["in-memory", "stand-in"])
async def tested(request: pytest.FixtureRequest, real: RealService) -> ServiceUnderTest:
    clock = ManualClock()
    foundry = InMemoryFoundry(clock)
    return ServiceUnderTest(foundry, clock, foundry) if request.param == "in-memory" else real


async def test_a_run_is_running_first_and_has_the_scores_of_all_rows_at_its_end(tested: ServiceUnderTest) -> None:
    evaluation, run = await tested.start(COHERENCE, EXACT)
    assert await tested.foundry.get_run(evaluation, run) == EvaluationRun(run, RunStatus.RUNNING)
    tested.clock.passed += SECONDS
    found = await tested.foundry.get_run(evaluation, run)
    assert found is not None
    assert (found.id, found.status, found.detail) == (run, RunStatus.COMPLETED, "")
    assert found.report_url.startswith("https://ai.azure.com/")
    assert found.scores == (
        RowScore(0, "builtin.coherence", 4.0, True),
        RowScore(0, "string_check", 1.0, True),
        RowScore(1, "builtin.coherence", 4.0, True),
        RowScore(1, "string_check", 0.0, False),
    )


async def test_no_text_of_a_row_stands_in_the_representation_of_a_run(tested: ServiceUnderTest) -> None:
    assert "Paris" not in f"{await tested.run(EXACT)}"


@pytest.mark.parametrize(
    ("operation", "response", "passed"),
    [("ne", "Lyon", True), ("like", "In Paris.", True), ("like", "paris", False), ("ilike", "in paris", True)],
)
async def test_operations_of_a_string_check(
    tested: ServiceUnderTest, operation: str, response: str, passed: bool
) -> None:
    run = await tested.run(replace(EXACT, operation=operation), rows=[PARIS | {"response": response}])
    assert [score.passed for score in run.scores] == [passed]


async def test_a_row_that_could_not_be_graded_has_no_verdict(tested: ServiceUnderTest) -> None:
    tested.fail_row(1)
    run = await tested.run(COHERENCE)
    assert [(score.score, score.passed) for score in run.scores] == [(4.0, True), (None, None)]
    assert run.detail.startswith("1 results have no verdict")


@pytest.mark.parametrize("status", [RunStatus.BROKEN, RunStatus.RUNNING])
async def test_a_run_that_breaks_or_never_ends_has_no_scores(tested: ServiceUnderTest, status: RunStatus) -> None:
    tested.end(status)
    run = await tested.run(COHERENCE)
    assert (run.status, run.scores) == (status, ())
    assert run.detail == ("the run ended as failed" if status is RunStatus.BROKEN else "")


async def test_a_run_is_found_by_its_name(tested: ServiceUnderTest) -> None:
    evaluation, run = await tested.start(COHERENCE)
    again = await tested.foundry.start_run(evaluation, "other", ROWS)
    assert await tested.foundry.find_run(evaluation, "hello 2 f1") == run
    assert await tested.foundry.find_run(evaluation, "other") == again
    assert await tested.foundry.find_run(evaluation, "hello 3 f1") is None


async def test_what_was_deleted_does_not_exist(tested: ServiceUnderTest) -> None:
    evaluation, run = await tested.start(COHERENCE)
    for _ in range(2):
        await tested.foundry.delete_evaluation(evaluation)
    assert await tested.foundry.get_run(evaluation, run) is None
    assert await tested.foundry.find_run(evaluation, "hello 2 f1") is None
    with pytest.raises(PermanentError, match="not_found"):
        await tested.foundry.start_run(evaluation, "hello 2 f1", ROWS)


async def test_a_model_is_deployed_or_not(tested: ServiceUnderTest) -> None:
    tested.remove_model("gpt-4o")
    assert await tested.foundry.has_model("hello", "gpt-5-mini")
    assert not await tested.foundry.has_model("hello", "gpt-4o")


async def test_results_come_in_pages(real: RealService) -> None:
    run = await real.run(EXACT, rows=ROWS * 13)
    assert [score.row for score in run.scores] == list(range(26))
    pages = [URL(request["path"]).query for request in real.service.requests if "output_items" in request["path"]]
    assert [query.get("after") for query in pages] == [None, "10", "20"]


async def test_what_is_sent_for_each_kind_of_criterion(real: RealService) -> None:
    f1 = ServiceCriterion("builtin.f1_score", "builtin.f1_score")
    evaluation = await real.foundry.create_evaluation("hello", "2", [COHERENCE, f1, EXACT, NEAR])
    mapping = {"query": "{{item.query}}", "response": "{{item.response}}"}
    compared = {"input": "{{item.response}}", "reference": "{{item.ground_truth}}"}
    judged = {"type": "azure_ai_evaluator", "name": "coherence", "evaluator_name": "builtin.coherence"}
    assert real.service.requests[-1]["body"]["testing_criteria"] == [
        judged | {"data_mapping": mapping, "initialization_parameters": {"model": "gpt-judge"}},
        {"type": "azure_ai_evaluator", "name": "f1_score", "evaluator_name": "builtin.f1_score"}
        | {"data_mapping": mapping | {"ground_truth": "{{item.ground_truth}}"}},
        {"type": "string_check", "name": "string_check", **compared, "operation": "eq"},
        {"type": "text_similarity", "name": "text_similarity", **compared}
        | {"evaluation_metric": "fuzzy_match", "pass_threshold": 0.8},
    ]
    assert evaluation.startswith("eval_")


async def test_a_similarity_passes_from_its_threshold_on(real: RealService) -> None:
    assert [score.passed for score in (await real.run(NEAR)).scores] == [True, False]


async def test_a_refused_criterion_is_one_line_in_the_words_of_the_service(real: RealService) -> None:
    message = "Evaluator 'builtin.nonsense' was not found."
    body = {"error": {"code": "UserError", "message": message}}
    await plan_faults(real.service.url, {"path": "/evals$", "status": 400, "body": body})
    with pytest.raises(PermanentError) as raised:
        await real.foundry.create_evaluation("hello", "2", [ServiceCriterion("builtin.nonsense", "builtin.nonsense")])
    assert str(raised.value) == f"Foundry: UserError: create an evaluation: {message}"


async def test_the_service_may_repeat_a_row_and_no_error_shows_it(real: RealService) -> None:
    evaluation = await real.foundry.create_evaluation("hello", "2", [EXACT])
    body = {"error": {"code": "UserError", "message": "the row 'Paris' is not valid"}}
    await plan_faults(real.service.url, {"path": "/runs$", "status": 400, "body": body})
    with pytest.raises(PermanentError) as raised:
        await real.foundry.start_run(evaluation, "hello 2 f1", ROWS)
    assert "Paris" not in str(raised.value)


async def test_a_run_is_sent_once_whatever_is_answered(real: RealService) -> None:
    evaluation = await real.foundry.create_evaluation("hello", "2", [EXACT])
    await plan_faults(real.service.url, {"path": "/runs$", "status": 429, "headers": {"Retry-After": "7"}, "times": 9})
    with pytest.raises(TransientError) as raised:
        await real.foundry.start_run(evaluation, "hello 2 f1", ROWS)
    assert (raised.value.throttled, raised.value.retry_after, raised.value.unclear) == (True, 7, False)
    assert [request["path"].endswith("/runs") for request in real.service.requests].count(True) == 1


async def test_after_a_5xx_it_is_unclear_whether_a_run_was_started(real: RealService) -> None:
    evaluation = await real.foundry.create_evaluation("hello", "2", [EXACT])
    await plan_faults(real.service.url, {"path": "/runs$", "status": 503})
    with pytest.raises(TransientError) as raised:
        await real.foundry.start_run(evaluation, "hello 2 f1", ROWS)
    assert raised.value.unclear


@pytest.mark.parametrize("text", ["ä" * (MAX_ROWS_BYTES // 6), "," * MAX_ROWS_VALUES])
async def test_rows_that_could_not_be_read_back_are_refused_before_they_are_sent(real: RealService, text: str) -> None:
    evaluation, sent = await real.foundry.create_evaluation("hello", "2", [EXACT]), len(real.service.requests)
    with pytest.raises(PermanentError, match="ROWS_TOO_LARGE"):
        await real.foundry.start_run(evaluation, "hello 2 f1", [PARIS | {"response": text}])
    assert len(real.service.requests) == sent


async def test_why_evaluators_could_not_run_is_said_in_public_codes(real: RealService) -> None:
    evaluation, run = await real.start(COHERENCE)
    message = "(SystemError) The deployment gpt-judge: DeploymentNotFound while reading Paris PrivateWord"
    error = {"error": {"code": "FAILED_EXECUTION", "message": message}}
    result = {"type": "azure_ai_evaluator", "name": "coherence", "score": None, "passed": None, "sample": error}
    item = {"id": "1", "datasource_item_id": 0, "results": [result]}
    body = {"data": [item], "last_id": "1", "has_more": False}
    await plan_faults(real.service.url, {"path": "/output_items", "status": 200, "body": body})
    real.clock.passed += SECONDS
    found = await real.foundry.get_run(evaluation, run)
    assert found is not None
    assert found.detail == "1 results have no verdict: SystemError, DeploymentNotFound"


async def planned_results(real: RealService, **changes: object) -> EvaluationRun:
    """A run with one result, as a test says, whatever the stand-in has found."""
    evaluation, run = await real.start(COHERENCE)
    result = {"type": "azure_ai_evaluator", "name": "coherence", "score": 4, "passed": True} | changes
    body = {"data": [{"id": "1", "datasource_item_id": 0, "results": [result]}], "last_id": "1", "has_more": False}
    await plan_faults(real.service.url, {"path": "/output_items", "status": 200, "body": body})
    real.clock.passed += SECONDS
    found = await real.foundry.get_run(evaluation, run)
    assert found is not None
    return found


@pytest.mark.parametrize("score", [float("nan"), float("inf"), True, "4", None])
async def test_a_score_that_is_not_a_number_is_not_a_score(real: RealService, score: object) -> None:
    assert (await planned_results(real, score=score)).scores == (RowScore(0, "builtin.coherence", None, True),)


@pytest.mark.parametrize("sample", [None, "x", [], {"error": "x"}, {"error": {"message": None}}])
async def test_an_evaluator_may_say_anything_about_its_failure(real: RealService, sample: object) -> None:
    found = await planned_results(real, passed=None, sample=sample)
    assert found.detail == "1 results have no verdict"


class LargestRun:
    """A project client that answers with a finished run of the largest dataset, for two versions."""

    async def send_request(self, request: HttpRequest, **_: object) -> LargestRun:
        self.status_code, self._query = 200, URL(request.url).query
        return self

    def json(self) -> dict[str, object]:
        if "limit" not in self._query:
            return {"id": "evalrun_1", "status": "completed"}
        start = int(self._query.get("after", "0"))
        end = min(start + int(self._query["limit"]), 2 * MAX_ROWS)
        items = [{"datasource_item_id": row, "results": [{"name": "a", "score": 1}]} for row in range(start, end)]
        return {"data": items, "last_id": str(end), "has_more": end < 2 * MAX_ROWS}


async def test_the_results_of_the_largest_dataset_are_read() -> None:
    clock = ManualClock()
    found = await get_run(cast("AIProjectClient", LargestRun()), FoundryCalls(FoundryRateLimiter(), clock), "e", "r")
    assert found is not None
    assert [score.row for score in found.scores] == [*range(2 * MAX_ROWS)]


async def test_two_runs_at_once_have_two_ids(tested: ServiceUnderTest) -> None:
    evaluation = await tested.foundry.create_evaluation("hello", "2", [EXACT])
    runs = await asyncio.gather(*(tested.foundry.start_run(evaluation, "a", ROWS) for _ in range(2)))
    assert len(set(runs)) == 2
