"""Evaluations of a project: criteria, runs over rows that are sent with them, and scores (docs/reference/wire.md).

Requests go through the project client's own pipeline, as questions to agents do. Rows and answers stand in no error.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from azure.core.async_paging import AsyncItemPaged
from azure.core.exceptions import HttpResponseError
from azure.core.rest import HttpRequest

from core.agents_file.dataset import MAX_ROWS
from core.evaluation import EvaluationRun, RowScore, RunStatus, ServiceCriterion, needs_reference, run_size_problem
from core.json_map import as_map
from core.service_codes import is_public
from handlers.gateways.azure_http import NO_TRACE
from handlers.gateways.errors import PermanentError
from handlers.gateways.foundry.calls import ONCE, FoundryCalls
from handlers.gateways.foundry.errors import SERVICE, is_not_found
from handlers.redaction import ServiceCode

if TYPE_CHECKING:
    from azure.ai.projects.aio import AIProjectClient

PATH = "/openai/v1/evals"
EVALUATOR, BUILT_IN = "azure_ai_evaluator", "builtin."
RUNS_PAGE = 1
"""Runs to a page: each repeats its rows, and an answer has a limit (handlers/gateways/answer_limits.py)."""
ITEMS_PAGE = 10
"""Results to a page: each repeats the row and, for each judge, its prompt and answer."""
MAX_ITEM_PAGES = 2 * MAX_ROWS // ITEMS_PAGE + 1
"""Of the largest dataset, answered by the candidate and by the live version; an empty page may follow."""
BROKEN = frozenset({"failed", "canceled", "cancelled"})
ID = re.compile(r"[\w-]{1,100}")
REPORT = re.compile(r"https://ai\.azure\.com/[\w./,%~-]{1,500}")
"""Any other address is left out."""
CODE_IN_TEXT = re.compile(r"\b(?:[A-Z][a-z]+){2,}\b")
"""``DeploymentNotFound`` and its kin, in the message of an evaluator."""


async def create_evaluation(
    client: AIProjectClient, calls: FoundryCalls, name: str, criteria: Sequence[ServiceCriterion]
) -> str:
    """Create an evaluation; a refusal is shown in the service's words, which can repeat nothing but agents.yaml."""
    texts = {name: {"type": "string"} for name in ("query", "response", "ground_truth")}
    schema = {"type": "object", "properties": texts, "required": []}
    body = {
        "name": name,
        "data_source_config": {"type": "custom", "item_schema": schema, "include_sample_schema": True},
        "testing_criteria": [criterion_to(criterion) for criterion in criteria],
    }
    request = HttpRequest("POST", PATH, json=body)
    try:
        return await calls.send_once("create an evaluation", lambda: _send(client, request, **ONCE), _id_of)
    except PermanentError as error:
        error.open_words()
        raise


async def start_run(
    client: AIProjectClient, calls: FoundryCalls, evaluation: str, name: str, rows: Sequence[Mapping[str, str]]
) -> str:
    """Start a run; raises PermanentError with the code ROWS_TOO_LARGE for rows that could not be read back."""
    content = [{"item": dict(row)} for row in rows]
    what = "start a run of an evaluation"
    if problem := run_size_problem(rows):
        raise PermanentError(SERVICE, "ROWS_TOO_LARGE", f"{what}: its rows with their answers: {problem}")
    source = {"type": "jsonl", "source": {"type": "file_content", "content": content}}
    request = HttpRequest("POST", f"{PATH}/{evaluation}/runs", json={"name": name, "data_source": source})
    return await calls.send_once(what, lambda: _send(client, request, **ONCE), _id_of)


async def find_run(client: AIProjectClient, calls: FoundryCalls, evaluation: str, name: str) -> str | None:
    """The newest run with this name."""
    items = partial(_pages, client, f"{PATH}/{evaluation}/runs", {"order": "desc", "limit": RUNS_PAGE})
    runs = await calls.read_pages("list the runs of an evaluation", items, lambda run: (run["name"], _id_of(run)))
    return next((key for found, key in runs if found == name), None)


async def get_run(client: AIProjectClient, calls: FoundryCalls, evaluation: str, run: str) -> EvaluationRun | None:
    """A run and, once it has completed, its scores."""
    path, what = f"{PATH}/{evaluation}/runs/{run}", "get a run of an evaluation"
    found = await calls.read(what, lambda: _send(client, HttpRequest("GET", path), **NO_TRACE), run_of)
    if found is None or found.status is not RunStatus.COMPLETED:
        return found
    items = partial(_pages, client, f"{path}/output_items", {"order": "asc", "limit": ITEMS_PAGE})
    rows = await calls.read_pages("list the results of a run", items, scores_of, MAX_ITEM_PAGES)
    results = [result for row in rows for result in row]
    scores = tuple(score for score, _ in results)
    detail = _why_without_verdict([error for score, error in results if score.passed is None])
    return EvaluationRun(found.id, found.status, scores, detail, found.report_url)


async def has_model(client: AIProjectClient, calls: FoundryCalls, deployment: str) -> bool:
    """Whether the project has a deployment of that name: none has been recorded that is missing, so any 404 says so."""
    what = f"get the deployment {deployment}"
    try:
        return bool(await calls.read(what, lambda: client.deployments.get(deployment, **NO_TRACE), bool))
    except PermanentError as error:
        if error.status == HTTPStatus.NOT_FOUND:
            return False
        raise


async def delete_evaluation(client: AIProjectClient, calls: FoundryCalls, evaluation: str) -> None:
    """Delete an evaluation; the service answers ``deleted: false``, and deletes it."""
    request = HttpRequest("DELETE", f"{PATH}/{evaluation}")
    try:
        await calls.send_once("delete an evaluation", lambda: _send(client, request, **ONCE, **NO_TRACE), bool)
    except PermanentError as error:
        if not is_not_found(error):
            raise


def criterion_to(criterion: ServiceCriterion) -> dict[str, Any]:
    """A criterion as it is sent; its label has no dot, as the evaluators' own library asks."""
    answer, reference = "{{item.response}}", "{{item.ground_truth}}"
    if not criterion.evaluator.startswith(BUILT_IN):
        options = {
            "operation": criterion.operation or None,
            "evaluation_metric": criterion.metric or None,
            "pass_threshold": criterion.passes_at,
        }
        compared = {"type": criterion.evaluator, "name": criterion.name, "input": answer, "reference": reference}
        return compared | {key: value for key, value in options.items() if value is not None}
    mapping = {"query": "{{item.query}}", "response": answer}
    if needs_reference(criterion.evaluator):
        mapping["ground_truth"] = reference
    sent = {
        "type": EVALUATOR,
        "name": criterion.name.removeprefix(BUILT_IN),
        "evaluator_name": criterion.evaluator,
        "data_mapping": mapping,
    }
    return {**sent, "initialization_parameters": {"model": criterion.judge}} if criterion.judge else sent


def run_of(body: Mapping[str, Any]) -> EvaluationRun:
    """A run without its scores."""
    status, error, report = str(body["status"]), as_map(body.get("error")), str(body.get("report_url") or "")
    report = report if REPORT.fullmatch(report) else ""
    if status in BROKEN:
        code = f": {ServiceCode(str(error['code']))}" if error.get("code") else ""
        return EvaluationRun(_id_of(body), RunStatus.BROKEN, (), f"the run ended as {status}{code}", report)
    is_over = status == "completed"
    return EvaluationRun(_id_of(body), RunStatus.COMPLETED if is_over else RunStatus.RUNNING, report_url=report)


def scores_of(item: Mapping[str, Any]) -> list[tuple[RowScore, str]]:
    """The scores of one row, each with the message of an evaluator that could not run.

    The status of an item is no verdict: it says "completed" also where the row failed.
    """
    found = list[tuple[RowScore, str]]()
    for result in item["results"]:
        name, score, passed = str(result["name"]), result.get("score"), result.get("passed")
        criterion = f"{BUILT_IN}{name}" if result.get("type") == EVALUATOR else name
        is_number = isinstance(score, int | float) and not isinstance(score, bool) and math.isfinite(score)
        verdict = passed if isinstance(passed, bool) else None
        error = as_map(as_map(result.get("sample")).get("error")).get("message")
        number = float(score) if is_number else None
        found.append((RowScore(int(item["datasource_item_id"]), criterion, number, verdict), str(error or "")))
    return found


def _why_without_verdict(messages: Sequence[str]) -> str:
    """How many results have no verdict, with the public codes that their messages hold: they may hold a row, too."""
    if not messages:
        return ""
    words = (word for message in messages for word in CODE_IN_TEXT.findall(message) if is_public(word))
    codes = ", ".join([*dict.fromkeys(words)][:3])
    return f"{len(messages)} results have no verdict{f': {codes}' if codes else ''}"


def _id_of(body: Mapping[str, Any]) -> str:
    """The id of an evaluation or a run, which is stored and stands in paths; raises ValueError for another text."""
    key = str(body["id"])
    if not ID.fullmatch(key):
        raise ValueError("not an id")
    return key


def _pages(client: AIProjectClient, path: str, query: Mapping[str, object]) -> AsyncItemPaged[Any]:
    """A list that ends where ``has_more`` is false."""

    async def get_next(cursor: str | None) -> Any:
        params = {key: str(value) for key, value in query.items()} | ({"after": cursor} if cursor else {})
        return await _send(client, HttpRequest("GET", path, params=params), **NO_TRACE)

    async def extract(body: Any) -> tuple[str | None, Any]:
        return (str(body["last_id"]) if body.get("has_more") else None), body["data"]

    return AsyncItemPaged(get_next, extract)


async def _send(client: AIProjectClient, request: HttpRequest, **options: Any) -> Any:
    """The answer as JSON; raises AzureError or ValueError."""
    response = await client.send_request(request, **options)
    if response.status_code >= 300:
        raise HttpResponseError(response=response)
    return response.json()
