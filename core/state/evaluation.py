"""How far the evaluation of a candidate is, and its scores: numbers alone, and no text of a row or an answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Score:
    """How good the answers to a dataset are by one criterion."""

    criterion: str
    value: float
    """The share of the rows that passed, the mean of the scores, or seconds."""


@dataclass(frozen=True, slots=True)
class CriterionResult:
    """A score beside what it must reach."""

    criterion: str
    value: float
    threshold: float
    """The least value; of a time the greatest."""
    live: float | None = None
    """The score of the live version, where the two are compared."""
    unit: str = ""
    is_passed: bool = True

    def __str__(self) -> str:
        limit = f"{'at most' if self.unit else 'threshold'} {number_text(self.threshold)}{self.unit}"
        live = "" if self.live is None else f", live {number_text(self.live)}"
        verdict = "" if self.is_passed else "failed: "
        return f"{verdict}{self.criterion} {number_text(self.value)}{self.unit} ({limit}{live})"


def number_text(value: float) -> str:
    """A score or a threshold as people read it, with at most three decimals."""
    return f"{value:.3f}".rstrip("0").rstrip(".")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The evaluation of one candidate."""

    version: str
    key: str
    """Names the dataset and the criteria, see ``EvaluateSpec.key``."""
    started_at: datetime
    attempt: int = 1
    scores: tuple[Score, ...] = ()
    live_version: str = ""
    """The version that was asked the same rows, to compare; empty where none was."""
    live_scores: tuple[Score, ...] = ()
    row_counts: tuple[int, int] = (0, 0)
    """How many rows of the run are answers of the candidate, and of the live version."""
    service_id: str = ""
    """The evaluation in Foundry."""
    sent_at: datetime | None = None
    """The run was about to be started then."""
    run_id: str = ""
    report_url: str = ""
    problem: str = ""
    """Why the attempt gave no result; the next one begins at ``retry_at``."""
    retry_at: datetime | None = None
    is_complete: bool = False
    """Every criterion has its score."""
    results: tuple[CriterionResult, ...] = ()
    """What was decided by the scores."""


def unless_inconclusive(evaluation: Evaluation | None) -> Evaluation | None:
    """None after an attempt without a result: a new release of the version tries at once, and begins to count anew."""
    return None if evaluation is not None and evaluation.problem else evaluation
