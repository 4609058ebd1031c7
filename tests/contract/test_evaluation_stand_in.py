"""The stand-in of evaluations: runs that pass, fail, break or never end, computed and scripted scores, pages."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import ClientSession

from handlers.gateways.in_memory.clock import ManualClock
from local.foundry.server import Foundry
from local.foundry.text_similarity import f1_score, similarity
from tests.support.local_clients import plan_faults

Json = dict[str, Any]
JUDGE: Json = {"type": "azure_ai_evaluator", "name": "clear", "evaluator_name": "builtin.coherence"}
EXACT: Json = {
    "type": "string_check",
    "name": "exact",
    "input": "{{item.response}}",
    "reference": "{{item.ground_truth}}",
    "operation": "eq",
}
ROWS: list[Json] = [{"response": "Paris", "ground_truth": "Paris"}, {"response": "Lyon", "ground_truth": "Paris"}]


@dataclass
class Service:
    """The stand-in, its clock, and the address of its evaluations."""

    stand_in: Foundry
    clock: ManualClock
    client: ClientSession

    async def script(self, **script: object) -> int:
        """Script what comes; returns the status of the answer."""
        async with self.client.put(f"{self.stand_in.url}/_local/evaluations", json=script) as answer:
            return answer.status

    async def call(self, method: str, path: str = "", body: Json | None = None) -> tuple[int, Json]:
        """Send one request; returns status and body."""
        url = f"{self.stand_in.url}/api/projects/demo/openai/v1/evals{path}"
        headers = {"Authorization": "Bearer local"}
        async with self.client.request(method, url, json=body, headers=headers) as answer:
            return answer.status, await answer.json()

    async def started(self, *criteria: Json, rows: list[Json] | None = None) -> str:
        """Start a run over the rows; returns its path."""
        sent: Json = {"name": "hello", "testing_criteria": list(criteria), "data_source_config": {"type": "custom"}}
        _, created = await self.call("POST", body=sent)
        content = [{"item": row} for row in rows or ROWS]
        source: Json = {"type": "jsonl", "source": {"type": "file_content", "content": content}}
        path = f"/{created['id']}/runs"
        status, run = await self.call("POST", path, {"name": "version 2", "data_source": source})
        assert (status, run["status"], run["report_url"]) == (201, "in_progress", None)
        return f"{path}/{run['id']}"

    async def finished(self, *criteria: Json, rows: list[Json] | None = None) -> tuple[Json, list[Json]]:
        """A run after its end, and the results of all rows."""
        path = await self.started(*criteria, rows=rows)
        self.clock.passed += 10
        _, run = await self.call("GET", path)
        _, items = await self.call("GET", f"{path}/output_items?limit=100")
        return run, items["data"]


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    clock = ManualClock()
    stand_in = Foundry(clock=lambda: clock.now().timestamp())
    await stand_in.start()
    async with ClientSession() as client:
        yield Service(stand_in, clock, client)
    await stand_in.stop()


async def test_a_string_check_is_computed_and_a_row_passes_by_all_criteria(service: Service) -> None:
    run, items = await service.finished(EXACT, JUDGE)
    assert (run["status"], run["report_url"][:8]) == ("completed", "https://")
    assert run["result_counts"] == {"total": 2, "passed": 1, "failed": 1, "errored": 0, "skipped": 0}
    assert [[found["passed"] for found in item["results"]] for item in items] == [[True, True], [False, True]]
    assert {item["status"] for item in items} == {"completed"}, "whether or not the row passed"
    assert run["data_source"]["source"]["content"] == ROWS, "rows come back without their wrapper"


@pytest.mark.parametrize(
    ("operation", "response", "passed"),
    [
        ("ne", "Lyon", True),
        ("ne", "Paris", False),
        ("like", "In Paris.", True),
        ("like", "in paris", False),
        ("ilike", "in paris", True),
        ("ilike", "Lyon", False),
    ],
)
async def test_operations_of_a_string_check(service: Service, operation: str, response: str, passed: bool) -> None:
    rows = [{"response": response, "ground_truth": "Paris"}]
    _, (item,) = await service.finished(EXACT | {"operation": operation}, rows=rows)
    assert item["results"][0]["passed"] is passed


async def test_scores_of_judges_are_scripted_by_the_text_of_a_row(service: Service) -> None:
    await service.script(scores={"clear": {"Lyon": 1}})
    _, items = await service.finished(JUDGE)
    results = [item["results"][0] for item in items]
    assert [(found["score"], found["label"], found["threshold"]) for found in results] == [
        (4, "pass", 3),
        (1, "fail", 3),
    ]


async def test_of_severities_the_lower_is_better(service: Service) -> None:
    await service.script(scores={"violence": {"Lyon": 5}})
    _, items = await service.finished({**JUDGE, "name": "harm", "evaluator_name": "builtin.violence"})
    assert [item["results"][0]["passed"] for item in items] == [True, False]


async def test_a_row_that_could_not_be_graded_is_neither_passed_nor_failed(service: Service) -> None:
    await service.script(failing_rows=[1])
    run, items = await service.finished(JUDGE)
    assert run["status"] == "completed"
    assert run["result_counts"] == {"total": 2, "passed": 1, "failed": 0, "errored": 1, "skipped": 0}
    result = items[1]["results"][0]
    assert (result["score"], result["passed"], result["status"]) == (None, None, "error")
    assert result["sample"]["error"]["code"] == "FAILED_EXECUTION"


@pytest.mark.parametrize("ends", ["failed", "canceled", "Partial"])
async def test_a_run_ends_as_it_is_scripted(service: Service, ends: str) -> None:
    await service.script(ends=ends)
    run, _ = await service.finished(JUDGE)
    assert (run["status"], run["report_url"]) == (ends, None)


async def test_a_run_without_end_has_no_results(service: Service) -> None:
    await service.script(ends="in_progress")
    path = await service.started(JUDGE)
    service.clock.passed += 1_000_000
    assert (await service.call("GET", path))[1]["status"] == "in_progress"
    assert (await service.call("GET", f"{path}/output_items"))[1]["data"] == []


async def test_counts_that_older_answers_leave_out(service: Service) -> None:
    await service.script(leaves_out=["errored", "skipped"])
    run, _ = await service.finished(JUDGE)
    assert run["result_counts"] == {"total": 2, "passed": 2, "failed": 0}
    assert run["per_testing_criteria_results"] == [{"testing_criteria": "clear", "passed": 2, "failed": 0}]


async def test_results_come_in_pages_after_the_last_item(service: Service) -> None:
    await service.script(page_size=2)
    path = await service.started(JUDGE, rows=ROWS + ROWS[:1])
    service.clock.passed += 10
    _, first = await service.call("GET", f"{path}/output_items?limit=100")
    _, second = await service.call("GET", f"{path}/output_items?limit=100&after={first['last_id']}")
    assert ([item["id"] for item in first["data"]], first["has_more"]) == (["1", "2"], True)
    assert ([item["id"] for item in second["data"]], second["has_more"]) == (["3"], False)


async def test_evaluations_and_runs_are_listed_and_deleted(service: Service) -> None:
    run = await service.started(JUDGE)
    path = run.partition("/runs")[0]
    assert [found["name"] for found in (await service.call("GET"))[1]["data"]] == ["hello"]
    assert [found["name"] for found in (await service.call("GET", f"{path}/runs"))[1]["data"]] == ["version 2"]
    status, answer = await service.call("DELETE", path)
    assert (status, answer["deleted"]) == (200, False)
    assert (await service.call("GET", run))[0] == 404


async def test_what_the_stand_in_lacks_is_refused(service: Service) -> None:
    assert (await service.call("POST", body={"testing_criteria": [JUDGE]}))[0] == 400
    path = (await service.started(JUDGE)).rpartition("/")[0]
    target = {"type": "azure_ai_target_completions", "target": {"type": "azure_ai_agent", "name": "hello"}}
    assert (await service.call("POST", path, {"data_source": target}))[0] == 400
    assert await service.script(nonsense=1) == 400


async def test_a_429_is_a_fault(service: Service) -> None:
    path = (await service.started(JUDGE)).rpartition("/")[0]
    await plan_faults(service.stand_in.url, {"path": "/runs$", "status": 429, "headers": {"Retry-After": "7"}})
    assert (await service.call("POST", path, {}))[0] == 429


def test_scores_that_were_recorded() -> None:
    truth, response = "The product is excellent and performs well.", "The product is amazing and works perfectly."
    assert similarity("bleu", truth, response) == pytest.approx(0.18756826382863573, rel=1e-12)
    response = "To stay healthy, focus on regular exercise, a balanced diet, adequate sleep, and stress management."
    truth = "Exercise regularly, eat balanced meals, and get enough sleep"
    assert f1_score(response, truth) == pytest.approx(0.34782608695652173, rel=1e-12)


@pytest.mark.parametrize("metric", ["fuzzy_match", "rouge_1", "rouge_l"])
def test_similarity_is_one_for_equal_texts_and_none_for_texts_without_a_common_word(metric: str) -> None:
    assert similarity(metric, "Paris", "Paris") == 1
    assert similarity(metric, "xyz", "Paris") == 0


def test_a_metric_that_needs_a_model_is_not_computed() -> None:
    assert similarity("cosine", "Paris", "Paris") is None


async def test_a_similarity_passes_from_its_threshold_on(service: Service) -> None:
    criterion = EXACT | {"type": "text_similarity", "name": "near", "evaluation_metric": "fuzzy_match"}
    criterion = {key: value for key, value in criterion.items() if key != "operation"} | {"pass_threshold": 0.8}
    _, items = await service.finished(criterion)
    assert [item["results"][0]["passed"] for item in items] == [True, False]
    assert "label" in json.dumps(items[0]["results"][0])
