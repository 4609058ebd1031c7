"""Evaluations in memory: judges give scripted verdicts, and comparisons of texts are computed."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from core.evaluation import EvaluationRun, RowScore, RunStatus, ServiceCriterion
from handlers.gateways.clock import Clock
from handlers.gateways.errors import PermanentError

Judge = Callable[[str, Mapping[str, str]], tuple[float | None, bool | None]]
"""Criterion and row -> score and verdict; no verdict where the evaluator cannot run."""
CHECKS: Mapping[str, Callable[[str, str], bool]] = {
    "eq": lambda text, reference: text == reference,
    "ne": lambda text, reference: text != reference,
    "like": lambda text, reference: reference in text,
    "ilike": lambda text, reference: reference.casefold() in text.casefold(),
}


@dataclass
class Run:
    """A run over rows."""

    id: str
    name: str
    ends_at: float
    rows: Sequence[Mapping[str, str]]


@dataclass
class Evaluation:
    """An evaluation with its runs, oldest first."""

    criteria: tuple[ServiceCriterion, ...]
    runs: dict[str, Run] = field(default_factory=dict)


class InMemoryEvaluations:
    """The evaluations of the Foundry protocol; the public attributes set up runs and show what was asked for."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.evaluations: dict[str, Evaluation] = {}
        self.run_seconds = 16.0
        self.run_ends = RunStatus.COMPLETED
        """How each run ends; RUNNING for runs without an end."""
        self.models: set[str] = {"gpt-5-mini"}
        """The names of deployments."""
        self.judge: Judge = lambda criterion, row: (4.0, True)
        """What the evaluators of Foundry find."""
        self.run_count = 0
        """Runs that were started."""
        self._numbers = itertools.count(1)

    async def has_model(self, agent: str, deployment: str) -> bool:
        return deployment in self.models

    async def create_evaluation(self, agent: str, version: str, criteria: Sequence[ServiceCriterion]) -> str:
        key = f"eval_{next(self._numbers)}"
        self.evaluations[key] = Evaluation(tuple(criteria))
        return key

    async def start_run(self, evaluation: str, name: str, rows: Sequence[Mapping[str, str]]) -> str:
        if evaluation not in self.evaluations:
            raise PermanentError("Foundry", "not_found", "start a run of an evaluation", status=404)
        self.run_count += 1
        run = Run(f"evalrun_{next(self._numbers)}", name, self._clock.monotonic() + self.run_seconds, list(rows))
        self.evaluations[evaluation].runs[run.id] = run
        return run.id

    async def find_run(self, evaluation: str, name: str) -> str | None:
        runs = self.evaluations[evaluation].runs.values() if evaluation in self.evaluations else ()
        return next((run.id for run in reversed([*runs]) if run.name == name), None)

    async def get_run(self, evaluation: str, run: str) -> EvaluationRun | None:
        found = self.evaluations[evaluation].runs.get(run) if evaluation in self.evaluations else None
        if found is None:
            return None
        status = self.run_ends if self._clock.monotonic() >= found.ends_at else RunStatus.RUNNING
        if status is not RunStatus.COMPLETED:
            return EvaluationRun(run, status, (), "the run ended as failed" if status is RunStatus.BROKEN else "")
        criteria = self.evaluations[evaluation].criteria
        scores = [self._score(found.rows, row, criterion) for row in range(len(found.rows)) for criterion in criteria]
        without = sum(score.passed is None for score in scores)
        detail = f"{without} results have no verdict" if without else ""
        return EvaluationRun(run, status, tuple(scores), detail, f"https://ai.azure.com/{evaluation}/{run}")

    async def delete_evaluation(self, evaluation: str) -> None:
        self.evaluations.pop(evaluation, None)

    def _score(self, rows: Sequence[Mapping[str, str]], index: int, criterion: ServiceCriterion) -> RowScore:
        row = rows[index]
        if criterion.evaluator == "string_check":
            passed = CHECKS[criterion.operation](row["response"], row["ground_truth"])
            return RowScore(index, criterion.name, float(passed), passed)
        return RowScore(index, criterion.name, *self.judge(criterion.name, row))
