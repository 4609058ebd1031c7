"""An evaluation by Foundry: by what it judges, how far it is, and what it found for each row of a dataset."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

WITH_REFERENCE = frozenset(
    {
        *("string_check", "text_similarity", "builtin.similarity", "builtin.response_completeness"),
        *("builtin.f1_score", "builtin.bleu_score", "builtin.gleu_score", "builtin.meteor_score"),
        "builtin.rouge_score",
    }
)


MAX_ROWS_BYTES, MAX_ROWS_VALUES = 1_500_000, 25_000
"""Of the rows of a run: half of what an answer of Foundry may have, which repeats them."""


def run_size_problem(rows: Sequence[Mapping[str, str]]) -> str:
    """Which limit the rows of a run break, so that they could not be read back; empty where they keep all."""
    text = json.dumps([{"item": dict(row)} for row in rows])
    if len(text) <= MAX_ROWS_BYTES and sum(map(text.count, ",[{")) <= MAX_ROWS_VALUES:
        return ""
    return f"they may have at most {MAX_ROWS_BYTES:,} bytes, and {MAX_ROWS_VALUES:,} commas and brackets"


def needs_reference(evaluator: str) -> bool:
    """Whether it compares an answer with the reference answer of its row."""
    return evaluator in WITH_REFERENCE


@dataclass(frozen=True, slots=True)
class ServiceCriterion:
    """A criterion by which Foundry judges the answers: an evaluator of the service, or a comparison of texts."""

    name: str
    """As in agents.yaml; the scores of a run name it."""
    evaluator: str
    """``builtin.<name>``, ``string_check`` or ``text_similarity``."""
    judge: str = ""
    """The deployment of the model that judges; empty for an evaluator that needs none."""
    operation: str = ""
    """Of a string check: ``eq``, ``ne``, ``like`` or ``ilike``."""
    metric: str = ""
    """Of a text similarity: ``fuzzy_match``, ``bleu`` and others."""
    passes_at: float | None = None
    """Of a text similarity: the score from which a row passes."""


class RunStatus(StrEnum):
    """How far a run is; a status that nobody knows counts as running, since its caller has a deadline."""

    RUNNING = "running"
    COMPLETED = "completed"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class RowScore:
    """What a criterion found for one row."""

    row: int
    """From 0, in the order of the rows that were sent."""
    criterion: str
    score: float | None
    passed: bool | None
    """None where the evaluator could not run."""


@dataclass(frozen=True, slots=True)
class EvaluationRun:
    """A run of an evaluation."""

    id: str
    status: RunStatus
    scores: tuple[RowScore, ...] = field(default=(), repr=False)
    """Of all rows, once the run has completed; a row may have no score, or several of one criterion."""
    detail: str = ""
    """Why the run broke, or why an evaluator could not run; never a text of a row."""
    report_url: str = ""
    """The report in the portal; it names subscription, account and project."""


@dataclass(frozen=True, slots=True)
class RowAnswer:
    """What an agent answered to one row."""

    text: str | None = field(repr=False)
    """None where the agent gave no acceptable answer."""
    seconds: float
    detail: str = ""
    """Why there is no acceptable answer; never quotes the agent."""


@dataclass(frozen=True, slots=True)
class AskedRows:
    """The answers to all rows, in their order; or why nothing is known about the version."""

    answers: tuple[RowAnswer, ...] = ()
    inconclusive: str = ""
