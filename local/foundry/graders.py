"""Grades one row by one criterion: overlap of texts is computed, what a model judges is scripted."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from local.foundry.state import Json
from local.foundry.text_similarity import f1_score, similarity

EVALUATOR = "azure_ai_evaluator"
SAFETY = ("violence", "hate_unfairness", "self_harm", "sexual")
SAFETY_MODEL = "azure_ai_system_model"
CHECKS: dict[str, Callable[[str, str], bool]] = {
    "eq": lambda text, reference: text == reference,
    "ne": lambda text, reference: text != reference,
    "like": lambda text, reference: reference in text,
    "ilike": lambda text, reference: reference.lower() in text.lower(),
}
MODEL_PARAMETERS = ("model", "deployment_name")
"""Newer samples send the first, older ones the second; the service takes both."""
TOKENS = {"total_tokens": 1399, "prompt_tokens": 1277, "completion_tokens": 122}


def metric_of(criterion: Json) -> str:
    """Return the name of a criterion's metric."""
    if criterion["type"] != EVALUATOR:
        return str(criterion["name"])
    return str(criterion["evaluator_name"]).removeprefix("builtin.")


def model_of(criterion: Json) -> str | None:
    """Return the model that judges by this criterion, or None."""
    if metric_of(criterion) in SAFETY:
        return SAFETY_MODEL
    parameters = criterion.get("initialization_parameters") or criterion
    return next((str(parameters[name]) for name in MODEL_PARAMETERS if name in parameters), None)


def grade(criterion: Json, row: Json, scripted: Json, *, fails: bool) -> Json:
    """Return the result of a row; with ``fails`` that of an evaluator that could not run."""
    metric, is_evaluator = metric_of(criterion), criterion["type"] == EVALUATOR
    result: Json = {"type": criterion["type"], "name": criterion["name"], "metric": metric}
    if fails:
        error = {"code": "FAILED_EXECUTION", "message": "(UserError) The evaluator could not run."}
        empty: Json = dict.fromkeys(("score", "label", "reason", "threshold", "passed"))
        return result | empty | {"status": "error", "sample": {"error": error}}
    score, threshold, passed = _verdict(criterion, row, scripted)
    has_label = is_evaluator or criterion["type"] in ("label_model", "score_model")
    model = model_of(criterion)
    return result | {
        "score": score,
        "label": ("pass" if passed else "fail") if has_label else None,
        "reason": "scripted" if is_evaluator and model else None,
        "threshold": threshold if is_evaluator else None,
        "passed": passed,
        **({"status": "completed"} if is_evaluator else {}),
        **({"sample": _sample(model, criterion)} if model else {}),
    }


def _verdict(criterion: Json, row: Json, scripted: Json) -> tuple[float, float, bool]:
    """Return score, threshold and whether the row passes; of severities (safety) the lower is better."""
    metric = metric_of(criterion)
    if criterion["type"] == "string_check":
        passed = CHECKS[str(criterion["operation"])](*_texts(criterion, row))
        return int(passed), 1, passed
    found = _scripted(criterion, row, scripted)
    if found is None and criterion["type"] == "text_similarity":
        found = similarity(str(criterion["evaluation_metric"]), *_texts(criterion, row))
    if found is None and metric == "f1_score":
        found = f1_score(_mapped(criterion, row, "response"), _mapped(criterion, row, "ground_truth"))
    threshold = float(criterion.get("pass_threshold", 0.5 if metric == "f1_score" else 3))
    if metric in SAFETY:
        score = 0 if found is None else found
        return score, threshold, score <= threshold
    is_label = criterion["type"] in ("label_model", "score_model", "text_similarity")
    score = found if found is not None else 1 if is_label else 4
    return score, threshold, score >= threshold or (criterion["type"] == "label_model" and score >= 1)


def _texts(criterion: Json, row: Json) -> tuple[str, str]:
    return filled(criterion["input"], row), filled(criterion["reference"], row)


def _scripted(criterion: Json, row: Json, scripted: Json) -> float | None:
    """Return the score that is scripted for a criterion: a number, or numbers by an expression for the row's text."""
    found: Any = scripted.get(criterion["name"], scripted.get(metric_of(criterion)))
    scores: dict[str, float | None] = found if isinstance(found, dict) else {"": found}
    text = json.dumps(row, ensure_ascii=False)
    return next((score for pattern, score in scores.items() if re.search(pattern, text)), None)


def filled(template: str, row: Json) -> str:
    """Return a template with the row's values in place of ``{{item.field}}``."""
    return re.sub(r"\{\{\s*item\.(\w+)\s*\}\}", lambda match: str(row.get(match[1], "")), template)


def _mapped(criterion: Json, row: Json, field: str) -> str:
    template = (criterion.get("data_mapping") or {}).get(field, f"{{{{item.{field}}}}}")
    return filled(template, row)


def _sample(model: str, criterion: Json) -> Json:
    """Return what was sent to a judge and came back, without texts."""
    messages: list[Json] = [{"role": "user", "content": ""}]
    answers: list[Json] = [{"role": "assistant", "content": ""}]
    if model == SAFETY_MODEL:
        messages, answers = ([message | {"tool_calls": []} for message in found] * 2 for found in (messages, answers))
    sample: Json = {"usage": TOKENS, "finish_reason": "stop", "input": messages, "output": answers, "model": model}
    if criterion["type"] == EVALUATOR:
        return sample
    prompts = [{"role": prompt["role"], "content": ""} for prompt in criterion["input"]]
    usage = TOKENS | {"cached_tokens": 0}
    return sample | {"input": prompts, "usage": usage, "error": None, "temperature": 1, "top_p": 1}
