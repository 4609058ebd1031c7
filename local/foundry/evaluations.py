"""Evaluations: criteria, runs over rows that are sent with them, and the results of each row.

``PUT /_local/evaluations`` scripts them. Lacks: updates, cancelling, rows from files, and runs that ask an agent.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from aiohttp import web

from local.foundry import graders
from local.foundry.evaluation_json import ENDLESS, Evaluation, Run, criterion_json, item_json, run_json
from local.foundry.json import page
from local.foundry.state import FoundryError, Json, Project
from local.stand_in import Handler

REGION = {"x-ms-region": "East US 2"}
MAX_ROWS = 100_000


@dataclass
class Script:
    """How runs go; set by ``PUT /_local/evaluations``."""

    seconds: float = 2.0
    """How long a run takes."""
    ends: str = "completed"
    """The last status of a run: completed, failed, canceled, any other text; ``in_progress`` for a run without end."""
    scores: dict[str, Any] = field(default_factory=dict)
    """Criterion, or evaluator without ``builtin.`` -> its score, or scores by a regular expression for the row's text.

    Without one a judge gives 4 of 5, or 0 of 7 for harm; overlap of texts is computed."""
    failing_rows: list[int] = field(default_factory=list)
    """Rows, counted from 0, whose evaluators cannot run."""
    leaves_out: list[str] = field(default_factory=list)
    """Counts that answers leave out: ``skipped``, as in March 2026, and ``errored``."""
    missing_models: list[str] = field(default_factory=list)
    """Names without a deployment; any other name has one."""
    page_size: int = 100
    """The most results that a page has."""


class Evaluations:
    """Routes below ``/openai/v1/evals``, and the models that judge."""

    def __init__(self, project: Project) -> None:
        self._project, self.script = project, Script()
        self.evaluations: dict[str, Evaluation] = {}

    def routes(self, base: str, wrap: Callable[[Handler], Handler]) -> list[web.RouteDef]:
        """Return the operations; ``base`` is the address of the project."""
        evals = f"{base}/openai/v1/evals"
        runs = f"{evals}/{{evaluation}}/runs"
        return [
            web.put("/_local/evaluations", self._set_script),
            web.post(evals, wrap(self._create)),
            web.get(evals, wrap(self._list)),
            web.get(f"{base}/deployments/{{name}}", wrap(self._get_deployment)),
            web.get(f"{evals}/{{evaluation}}", wrap(self._get)),
            web.delete(f"{evals}/{{evaluation}}", wrap(self._delete)),
            web.post(runs, wrap(self._create_run)),
            web.get(runs, wrap(self._list_runs)),
            web.get(f"{runs}/{{run}}", wrap(self._get_run)),
            web.get(f"{runs}/{{run}}/output_items", wrap(self._list_items)),
        ]

    async def _get_deployment(self, request: web.Request) -> web.Response:
        """Return a deployment of a model: any name is deployed, but for those that are configured."""
        name = request.match_info["name"]
        if name in self.script.missing_models:
            raise FoundryError(404, "not_found", f"deployment {name} does not exist")
        sku = {"name": "GlobalStandard", "capacity": 50}
        model = {"modelName": name, "modelVersion": "1", "modelPublisher": "OpenAI", "capabilities": {}, "sku": sku}
        return web.json_response({"type": "ModelDeployment", "name": name, **model})

    async def _set_script(self, request: web.Request) -> web.Response:
        try:
            self.script = replace(self.script, **await request.json())
        except (TypeError, ValueError) as error:
            return web.json_response({"error": f"evaluations: {error}"}, status=400)
        return web.json_response(vars(self.script))

    def create(self, sent: Json, key: str = "") -> Evaluation:
        """Create an evaluation; criteria come back with ids, and the schema of a row in another place."""
        now, config = int(self._project.clock()), sent.get("data_source_config") or {}
        if config.get("type") != "custom" or not sent.get("testing_criteria"):
            raise FoundryError(400, "invalid_request", "expected data_source_config of type custom, testing_criteria")
        schema = {"type": "object", "properties": {"output_text": {"type": "string"}}}
        body: Json = {
            "object": "eval",
            "created_at": now,
            "modified_at": now,
            "created_by": "Local User",
            "id": key or f"eval_{uuid.uuid4().hex}",
            "name": sent.get("name", ""),
            "metadata": sent.get("metadata") or {},
            "properties": {"evals_run_type": "azure_ai"},
            "data_source_config": {
                "type": "custom",
                "item_schema": {},
                "include_sample_schema": bool(config.get("include_sample_schema")),
                "schema": {"item": config.get("item_schema") or {}, "sample": schema},
            },
            "testing_criteria": [criterion_json(criterion) for criterion in sent["testing_criteria"]],
        }
        evaluation = self.evaluations[body["id"]] = Evaluation(body)
        return evaluation

    def start(self, evaluation: Evaluation, sent: Json, key: str = "") -> Run:
        """Start a run over rows that are sent with it; how it ends is decided now."""
        source = sent.get("data_source") or {}
        content = (source.get("source") or {}).get("content")
        if source.get("type") != "jsonl" or not content or len(content) > MAX_ROWS:
            raise FoundryError(400, "invalid_request", "Evaluation failed validation: expected rows of type jsonl")
        now, script = self._project.clock(), self.script
        rows = [line.get("item", line) for line in content]
        criteria = evaluation.body["testing_criteria"]
        results = [
            [graders.grade(found, row, script.scores, fails=index in script.failing_rows) for found in criteria]
            for index, row in enumerate(rows)
        ]
        run_id, name, metadata = key or f"evalrun_{uuid.uuid4().hex}", sent.get("name", ""), sent.get("metadata")
        ends_at = now + script.seconds if script.ends != ENDLESS else float("inf")
        run = Run(run_id, name, now, ends_at, script.ends, metadata, rows, results)
        evaluation.runs[run_id] = run
        return run

    def _evaluation(self, request: web.Request) -> Evaluation:
        key = request.match_info["evaluation"]
        if key not in self.evaluations:
            raise FoundryError(404, "not_found", f"Eval '{key}' not found")
        return self.evaluations[key]

    def _run(self, request: web.Request) -> Run:
        key, runs = request.match_info["run"], self._evaluation(request).runs
        if key not in runs:
            raise FoundryError(404, "not_found", f"Run '{key}' not found")
        return runs[key]

    async def _create(self, request: web.Request) -> web.Response:
        return web.json_response(self.create(await request.json()).body, status=201, headers=REGION)

    async def _list(self, request: web.Request) -> web.Response:
        return page(request, [evaluation.body for evaluation in self.evaluations.values()])

    async def _get(self, request: web.Request) -> web.Response:
        return web.json_response(self._evaluation(request).body, headers=REGION)

    async def _delete(self, request: web.Request) -> web.Response:
        """Answer 200 with ``deleted`` false, as the service does."""
        key = self._evaluation(request).body["id"]
        del self.evaluations[key]
        location = f"{request.url.origin()}{request.path}/{key}"
        body: Json = {"object": "eval.deleted", "deleted": False, "eval_id": key, "run_id": None, "location": location}
        return web.json_response(body, headers=REGION)

    async def _create_run(self, request: web.Request) -> web.Response:
        evaluation, sent = self._evaluation(request), await request.json()
        body = self._run_json(evaluation, self.start(evaluation, sent)) | {"data_source": sent["data_source"]}
        return web.json_response(body, status=201, headers=REGION | {"x-request-time": "4.2"})

    async def _list_runs(self, request: web.Request) -> web.Response:
        evaluation = self._evaluation(request)
        return page(request, [self._run_json(evaluation, run, read=True) for run in evaluation.runs.values()])

    async def _get_run(self, request: web.Request) -> web.Response:
        body = self._run_json(self._evaluation(request), self._run(request), read=True)
        return web.json_response(body, headers=REGION)

    async def _list_items(self, request: web.Request) -> web.Response:
        """Return a page of results; other lists have ``object``, this one was recorded without."""
        run, key = self._run(request), request.match_info["evaluation"]
        is_over = self._project.clock() >= run.ends_at
        items = [item_json(run, key, index) for index in range(len(run.rows))] if is_over else []
        after, limit = int(request.query.get("after", 0)), int(request.query.get("limit", 20))
        shown = items[after : after + max(1, min(limit, self.script.page_size))]
        ends = (shown[0]["id"], shown[-1]["id"]) if shown else (None, None)
        has_more = after + len(shown) < len(items)
        body: Json = {"data": shown, "first_id": ends[0], "last_id": ends[1], "has_more": has_more}
        return web.json_response(body, headers=REGION)

    def _run_json(self, evaluation: Evaluation, run: Run, *, read: bool = False) -> Json:
        return run_json(evaluation, run, self._project.clock(), self.script.leaves_out, read=read)
