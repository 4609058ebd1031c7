"""Grades the answers to a dataset, and decides whether they are good enough."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import re2

from core import answer_schema
from core.agents_file.dataset import EvaluationRow
from core.agents_file.evaluation import LATENCY, ROW_CRITERIA, CriterionSpec, EvaluateSpec
from core.evaluation import EvaluationRun, RowAnswer, RowScore
from core.state.evaluation import CriterionResult, Score

PERCENTILE = 0.95
ROUNDING = 1e-9
"""Sums of floating point numbers differ by less."""


def grade_rows(spec: EvaluateSpec, answers: Sequence[RowAnswer]) -> tuple[Score, ...]:
    """The scores of the criteria that Slipway grades; a row without an answer fails each of them."""
    pairs = [*zip(spec.rows, answers, strict=True)]
    rates = [
        Score(name, _rate(_passes(name, row, answer) for row, answer in pairs if row.has(name)))
        for name in spec.criteria
        if name in ROW_CRITERIA
    ]
    longest = spec.within.total_seconds()
    seconds = sorted(longest if answer.text is None else answer.seconds for answer in answers)
    latency = Score(LATENCY, round(seconds[math.ceil(PERCENTILE * len(seconds)) - 1], 3))
    return (*rates, latency) if LATENCY in spec.criteria else tuple(rates)


def run_rows(rows: Sequence[EvaluationRow], answers: Sequence[RowAnswer]) -> list[dict[str, str]]:
    """The rows of a run in Foundry: of every row that has an answer."""
    return [
        {"query": row.question, "response": answer.text, "ground_truth": row.reference or ""}
        for row, answer in zip(rows, answers, strict=True)
        if answer.text
    ]


def grade_run(
    spec: EvaluateSpec, run: EvaluationRun, row_counts: tuple[int, int]
) -> tuple[tuple[Score, ...], tuple[Score, ...]] | None:
    """The scores of candidate and live version by the criteria that Foundry grades; None where some are missing.

    The rows of the candidate come first. A row that was not sent, since it has no answer, fails and scores 0.
    """
    first, second = row_counts
    by_criterion: dict[str, list[RowScore]] = {name: [] for name in _service_names(spec)}
    for score in run.scores:
        by_criterion.get(score.criterion, []).append(score)
    if not all(_is_whole(scores, first + second) for scores in by_criterion.values()):
        return None
    own, live = (
        tuple(_service_score(spec, name, scores, rows) for name, scores in by_criterion.items())
        for rows in (range(first), range(first, first + second))
    )
    return own, live if second else ()


def compare(
    spec: EvaluateSpec, scores: Sequence[Score], live_scores: Sequence[Score] = ()
) -> tuple[CriterionResult, ...]:
    """Each score beside its threshold and, where ``no_worse_than`` asks for it, that of the live version."""
    live = {score.criterion: score.value for score in live_scores} if spec.no_worse_than else {}
    values = {score.criterion: score.value for score in scores}
    return tuple(
        _result(name, values[name], spec.criteria[name], live.get(name), spec.margin) for name in spec.criteria
    )


def _result(name: str, value: float, spec: CriterionSpec, live: float | None, margin: float) -> CriterionResult:
    if spec.at_most is not None:  # how fast another version was once depends on more than the version
        longest = spec.at_most.total_seconds()
        return CriterionResult(name, value, longest, unit=" s", is_passed=value <= longest)
    threshold = (spec.mean if spec.pass_rate is None else spec.pass_rate) or 0.0
    least = threshold if live is None else max(threshold, live - margin)
    return CriterionResult(name, value, threshold, live, is_passed=value >= least - ROUNDING)


def _passes(name: str, row: EvaluationRow, answer: RowAnswer) -> bool:
    return answer.text is not None and CHECKS[name](row, answer.text)


CHECKS: Mapping[str, Callable[[EvaluationRow, str], bool]] = {
    "expect": lambda row, text: re2.search(row.expect, text) is not None,
    "contains": lambda row, text: all(part in text for part in row.contains),
    "schema": lambda row, text: answer_schema.matches(row.schema if row.schema is not None else True, text),
}


def _rate(passes: Iterable[bool]) -> float:
    verdicts = [*passes]
    return sum(verdicts) / len(verdicts)


def _service_names(spec: EvaluateSpec) -> list[str]:
    return [criterion.name for criterion in spec.service_criteria()]


def _is_whole(scores: Sequence[RowScore], count: int) -> bool:
    """Whether each row has one result with a verdict and a score."""
    known = [score.row for score in scores if score.passed is not None and score.score is not None]
    return sorted(known) == [*range(count)] and len(scores) == count


def _service_score(spec: EvaluateSpec, name: str, scores: Sequence[RowScore], rows: range) -> Score:
    own = [score for score in scores if score.row in rows]
    if spec.criteria[name].pass_rate is not None:
        return Score(name, sum(score.passed is True for score in own) / len(spec.rows))
    return Score(name, sum(score.score or 0.0 for score in own) / len(spec.rows))
