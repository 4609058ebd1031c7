"""An evaluation by Foundry: by what it judges, how far it is, and what it found for each row of a dataset."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

WITH_REFERENCE = frozenset(
    {
        *("string_check", "text_similarity", "builtin.similarity", "builtin.response_completeness"),
        *("builtin.f1_score", "builtin.bleu_score", "builtin.gleu_score", "builtin.meteor_score"),
        "builtin.rouge_score",
    }
)


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
