"""``release.evaluate``: a dataset of questions, and how well a version must answer them before it gets traffic."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import timedelta
from functools import cached_property
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PrivateAttr

from core.agents_file.dataset import EvaluationRow, parse_dataset
from core.agents_file.fields import PositiveDuration, quote
from core.agents_file.named_files import check_deployed
from core.agents_file.value import Value
from core.evaluation import ServiceCriterion, needs_reference, run_size_problem
from core.similar_names import did_you_mean, most_similar

LATENCY = "latency_p95"
ROW_CRITERIA = ("expect", "contains", "schema")
"""Criteria that Slipway grades, each by the key of the rows with its name."""
TEXT_CRITERIA = ("string_check", "text_similarity")
"""Checks of Foundry that compare the answer with a row's ``reference``."""
MAX_WITHIN = timedelta(minutes=30)
DEPLOYMENT = re.compile(r"[A-Za-z0-9._-]{1,64}(/[A-Za-z0-9._-]{1,64})?")
"""The name of a deployment, or of a connection and its deployment."""
PREFIX = "builtin."
JUDGED = {
    **dict.fromkeys(("coherence", "fluency", "relevance", "intent_resolution", "task_adherence"), 5.0),
    **dict.fromkeys(("similarity", "response_completeness"), 5.0),
    "task_completion": 1.0,
}
"""Evaluators of Foundry that ask a judge model -> their highest score."""
OVERLAP = ("f1_score", "bleu_score", "gleu_score", "meteor_score")
"""Evaluators that count the words which an answer shares with the reference: 0 to 1."""
HARM = ("violence", "sexual", "self_harm", "hate_unfairness")
"""Evaluators on Microsoft's models, whose lower score is the better."""
EVALUATORS = tuple(PREFIX + name for name in (*JUDGED, *OVERLAP, *HARM))
CRITERIA = (*ROW_CRITERIA, LATENCY, *TEXT_CRITERIA, *EVALUATORS)


def check_dataset(name: str) -> str:
    """The name of a file beside agents.yaml, or in a folder there."""
    parts = name.split("/")
    if not name or set(name) & set("\\:\0") or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"{quote(name)} is not a file beside agents.yaml; write a name such as support.jsonl")
    return check_deployed(name)


def check_within(within: timedelta) -> timedelta:
    """A time in which a release may still wait."""
    if within > MAX_WITHIN:
        raise ValueError(f"is longer than {MAX_WITHIN.seconds // 60}m; write 30m or less")
    return within


def check_judge(name: str) -> str:
    """The name of a model's deployment."""
    if name and not DEPLOYMENT.fullmatch(name):
        raise ValueError(f"{quote(name)} is not the name of a deployment; write the name alone, such as gpt-5-mini")
    return name


class CriterionSpec(Value):
    """How good the answers must be by one criterion; one of the first three keys."""

    pass_rate: float | None = Field(None, ge=0, le=1, description="the share of the rows that must pass, from 0 to 1")
    mean: float | None = Field(None, ge=0, le=5, description="the mean of the scores that must be reached")
    at_most: PositiveDuration | None = Field(None, description="with `latency_p95`: how long 95 % of answers may take")
    operation: Literal["eq", "ne", "like", "ilike"] = Field(
        "eq", description="with `string_check`: how the answer is compared with `reference`"
    )
    metric: Literal["fuzzy_match", "bleu", "gleu", "meteor", "cosine", "rouge_l"] = Field(
        "fuzzy_match", description="with `text_similarity`: how the answer is compared with `reference`"
    )
    passes_at: float = Field(0.5, ge=0, le=1, description="with `text_similarity`: the score from which a row passes")


class EvaluateSpec(Value):
    """A dataset, and how well a version must answer it."""

    dataset: Annotated[str, AfterValidator(check_dataset)] = Field(
        description="a file of JSON lines beside agents.yaml: questions, and what their answers must have"
    )
    criteria: Mapping[str, CriterionSpec] = Field(
        min_length=1, description="what is graded, by `expect`, `contains`, `schema`, `latency_p95` or Foundry's names"
    )
    judge: Annotated[str, AfterValidator(check_judge)] | None = Field(
        None, min_length=1, description="the deployment of the model that evaluators ask"
    )
    no_worse_than: Literal["live"] | None = Field(None, description="compare each score with that of the live version")
    margin: float = Field(0.0, ge=0, le=1, description="how much worse than the live version a score may be")
    rows_at_once: int = Field(4, ge=1, le=20, description="how many rows are asked at the same time")
    within: Annotated[PositiveDuration, AfterValidator(check_within)] = Field(
        timedelta(minutes=10), description="how long the evaluation of a version may take"
    )
    _rows: tuple[EvaluationRow, ...] = PrivateAttr(())

    @property
    def rows(self) -> tuple[EvaluationRow, ...]:
        """The rows of the dataset."""
        return self._rows

    def with_dataset(self, data: bytes) -> tuple[EvaluateSpec, tuple[str, ...]]:
        """The same with the rows of the file, and what is wrong with them."""
        rows, problems = parse_dataset(data)
        filled = self.model_copy()
        filled.__dict__.pop("key", None)  # that of the rows before
        filled._rows = rows
        return filled, problems or (*_missing_keys(filled), *_run_problems(filled))

    def service_criteria(self) -> tuple[ServiceCriterion, ...]:
        """What Foundry grades."""
        found = {name: spec for name, spec in self.criteria.items() if name not in (*ROW_CRITERIA, LATENCY)}
        return tuple(_service_criterion(name, spec, self.judge or "") for name, spec in found.items())

    @cached_property  # each poll of a release asks for it, and a dataset may have a megabyte
    def key(self) -> str:
        """Names what the scores depend on: scores of another dataset, or by other criteria, cannot be compared."""
        criteria = [asdict(criterion) for criterion in self.service_criteria()]
        rows = [asdict(row) | {"line": 0} for row in self.rows]
        text = json.dumps([sorted(self.criteria), criteria, rows], sort_keys=True)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _service_criterion(name: str, spec: CriterionSpec, judge: str) -> ServiceCriterion:
    is_judged = name.removeprefix(PREFIX) in JUDGED
    return ServiceCriterion(
        name,
        name,
        judge=judge if is_judged else "",
        operation=spec.operation if name == "string_check" else "",
        metric=spec.metric if name == "text_similarity" else "",
        passes_at=spec.passes_at if name == "text_similarity" else None,
    )


def _missing_keys(spec: EvaluateSpec) -> Iterator[str]:
    """Keys that criteria need and rows do not have."""
    for name in spec.criteria:
        if name in ROW_CRITERIA and not any(row.has(name) for row in spec.rows):
            yield f"no row has the key {name}, which the criterion {name} needs"
        without = next((row for row in spec.rows if needs_reference(name) and not row.has("reference")), None)
        if without is not None:
            yield f"line {without.line}: has no reference, which the criterion {name} needs"


def _run_problems(spec: EvaluateSpec) -> Iterator[str]:
    """Why Foundry cannot grade the rows, whatever their answers are."""
    rows = [{"query": row.question, "response": "", "ground_truth": row.reference or ""} for row in spec.rows]
    twice, note = (2, ", and for the live version") if spec.no_worse_than else (1, "")
    problem = run_size_problem(rows * twice) if spec.service_criteria() else ""
    if problem:
        yield f"has rows that are too large for an evaluation in Foundry: with their answers{note} {problem}"


def find_issues(spec: EvaluateSpec) -> Iterator[tuple[tuple[str, ...], str]]:
    """What is wrong although each value is valid by itself, with the keys below ``evaluate``."""
    for name, criterion in spec.criteria.items():
        if name not in CRITERIA:
            yield ("criteria", name), f"{quote(name)} is not a criterion; {_hint(name)}"
        elif criterion.at_most is not None and criterion.at_most >= spec.within:
            yield ("criteria", name), "at_most is not shorter than within, so that no answer can be too late"
        elif problem := _threshold_problem(name, criterion) or _option_problem(name, criterion):
            yield ("criteria", name), problem
    judged = next((name for name in spec.criteria if name.removeprefix(PREFIX) in JUDGED), None)
    if judged and spec.judge is None:
        yield ("judge",), f"is missing; {judged} asks a model: write the name of its deployment in the Foundry account"
    if not judged and spec.judge is not None and spec.criteria.keys() <= {*CRITERIA}:
        yield ("judge",), "no criterion asks a model; remove the key"
    if spec.no_worse_than is None and "margin" in spec.model_fields_set:
        yield ("margin",), "has no effect without no_worse_than: live; add it, or remove the key"


def _hint(name: str) -> str:
    """The criterion that is meant, or all that there are; the prefix makes no two names similar."""
    by_plain_name = {known.removeprefix(PREFIX): known for known in CRITERIA}
    similar = most_similar(name.lower().removeprefix(PREFIX), by_plain_name)
    return did_you_mean(by_plain_name.get(similar), f"Slipway knows {', '.join(CRITERIA)}")


def _threshold_problem(name: str, criterion: CriterionSpec) -> str:
    given = [key for key in ("pass_rate", "mean", "at_most") if getattr(criterion, key) is not None]
    if name == LATENCY:
        return "" if given == ["at_most"] else "write at_most: 5s, the time within which 95 % of the answers come"
    if name in ROW_CRITERIA or name == "string_check" or name.removeprefix(PREFIX) in HARM:
        return "" if given == ["pass_rate"] else "write pass_rate, the share of the rows that must pass, such as 0.9"
    if given not in (["pass_rate"], ["mean"]):
        return "write either pass_rate, such as 0.9, or mean"
    highest = JUDGED.get(name.removeprefix(PREFIX), 1.0)
    too_high = criterion.mean is not None and criterion.mean > highest
    return f"mean is {criterion.mean:g}, but the highest score is {highest:g}" if too_high else ""


def _option_problem(name: str, criterion: CriterionSpec) -> str:
    owners = {"operation": "string_check", "metric": "text_similarity", "passes_at": "text_similarity"}
    wrong = (key for key, owner in owners.items() if key in criterion.model_fields_set and name != owner)
    return next((f"{key} belongs to {owners[key]}" for key in wrong), "")


def smallest_difference(spec: EvaluateSpec) -> str:
    """What a dataset of this size can show, for people."""
    count = len(spec.rows)
    if count == 1:
        return "1 row: a pass rate is 0 or 1"
    return f"{count} rows: a pass rate changes by {1 / count:.1%} or not at all"
