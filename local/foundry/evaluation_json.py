"""JSON of evaluations, runs and their results, as the service returns it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from local.foundry import graders
from local.foundry.state import Json

ENDLESS = "in_progress"


@dataclass
class Run:
    """A run; its status follows from the clock."""

    id: str
    name: str
    created_at: float
    ends_at: float
    ends: str
    metadata: Json | None
    rows: list[Json]
    results: list[list[Json]]
    """Of each row, one a criterion."""

    def status(self, now: float) -> str:
        """Return in_progress, then how it ends."""
        return self.ends if now >= self.ends_at else ENDLESS


@dataclass
class Evaluation:
    """An evaluation as it is returned, and its runs."""

    body: Json
    runs: dict[str, Run] = field(default_factory=dict)


def run_json(evaluation: Evaluation, run: Run, now: float, leaves_out: list[str], *, read: bool = False) -> Json:
    """Return a run; its first answer differs from all that are read later."""
    status, key = run.status(now), evaluation.body["id"]
    is_over = status != ENDLESS
    properties: Json = {"eval_id": key, "NetworkType": "Public"}
    if read:
        artifacts = '[{"path": "instance_results.jsonl", "type": "table"}]'
        properties |= {"runType": "eval_run", "_azureml.evaluation_run": "evaluation.service"}
        properties |= {"_azureml.evaluate_artifacts": artifacts}
    if is_over:
        properties |= {"job_logs": f"azureai://accounts/local/projects/local/evaluationresults/{run.id}/versions/1"}
    trigger = {"trigger_type": "oneoff"} if read else {}
    error = dict.fromkeys(("code", "message", "correlation_id", "inner_error"))
    report = f"https://ai.azure.com/nextgen/r/local/build/evaluations/{key}/run/{run.id}"
    return {
        "object": "eval.run",
        "created_at": int(run.created_at),
        "modified_at": int(run.ends_at if is_over else run.created_at),
        "created_by": "Local User" if read else None,
        "id": run.id,
        "eval_id": key,
        "status": status,
        "model": None,
        "data_source": {"type": "jsonl", "source": {"type": "file_content", "content": run.rows}},
        "metadata": None if run.metadata is None else {**run.metadata, **trigger},
        "properties": properties,
        "name": run.name,
        "report_url": report if status == "completed" else None,
        "result_counts": _counts(run, leaves_out, is_over=is_over),
        "per_model_usage": _usage(evaluation, run) if is_over else [],
        "per_testing_criteria_results": _by_criterion(run, leaves_out) if is_over else [],
        "error": None if read else error,
    }


def criterion_json(sent: Json) -> Json:
    """Return a criterion as it comes back: with its id; messages are typed, and ``image_tag`` is gone."""
    criterion: Json = {"type": sent["type"], "id": f"{sent['name']}_{uuid.uuid4()}", **sent}
    if sent["type"] == graders.EVALUATOR:
        criterion.setdefault("evaluator_version", "")
    criterion.pop("image_tag", None)
    if isinstance(criterion.get("input"), list):
        criterion["input"] = [message | {"type": "message"} for message in criterion["input"]]
    return criterion


def _outcome(results: list[Json]) -> str:
    verdicts = [result["passed"] for result in results]
    return "errored" if None in verdicts else "passed" if all(verdicts) else "failed"


def _count(outcomes: list[str], leaves_out: list[str]) -> Json:
    kinds = ("passed", "failed", "errored", "skipped")
    return {kind: outcomes.count(kind) for kind in kinds if kind not in leaves_out}


def _counts(run: Run, leaves_out: list[str], *, is_over: bool) -> Json:
    """Count rows: passed are those that every criterion passed; before the end two counts are missing."""
    if not is_over:
        return {"total": 0, "passed": 0, "failed": 0}
    return {"total": len(run.rows), **_count([_outcome(results) for results in run.results], leaves_out)}


def _by_criterion(run: Run, leaves_out: list[str]) -> list[Json]:
    columns = zip(*run.results, strict=True)
    names = [result["name"] for result in run.results[0]]
    counted = ([_outcome([result]) for result in column] for column in columns)
    return [
        {"testing_criteria": name, **_count(outcomes, leaves_out)}
        for name, outcomes in zip(names, counted, strict=True)
    ]


def _usage(evaluation: Evaluation, run: Run) -> list[Json]:
    """Return a line for each model, and their sum as one more line."""
    models = [model for found in evaluation.body["testing_criteria"] if (model := graders.model_of(found))]
    counts = {model: models.count(model) * len(run.rows) for model in models}
    counts |= {"azure_ai_evaluation": sum(counts.values())} if counts else {}
    return [
        {"model_name": model, "invocation_count": count, "cached_tokens": 0}
        | {name: tokens * count for name, tokens in graders.TOKENS.items()}
        for model, count in counts.items()
    ]


def item_json(run: Run, evaluation: str, index: int) -> Json:
    """Return the results of a row; its status says that it was graded, whether or not it passed."""
    results = run.results[index]
    judged: list[Json] = [result["sample"] for result in results if result["type"] == "score_model"]
    empty: Json = {"finish_reason": "", "input": [], "model": "", "output": [], "usage": None}
    shared: Json = {"error": None, "max_completion_tokens": None, "seed": None, "temperature": None, "top_p": None}
    return {
        "object": "eval.run.output_item",
        "id": str(index + 1),
        "run_id": run.id,
        "eval_id": evaluation,
        "created_at": int(run.ends_at),
        "status": "completed",
        "datasource_item_id": index,
        "datasource_item": run.rows[index],
        "results": results,
        "sample": shared | (judged[-1] if judged else empty),
    }
