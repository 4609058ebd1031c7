"""Evaluations: which criteria compare with a reference answer, and what is never shown."""

from __future__ import annotations

import pytest

from core.evaluation import EvaluationRun, RowAnswer, RowScore, RunStatus, needs_reference


@pytest.mark.parametrize(
    ("evaluator", "expected"),
    [("builtin.coherence", False), ("builtin.f1_score", True), ("string_check", True), ("text_similarity", True)],
)
def test_comparisons_need_a_reference_answer(evaluator: str, expected: bool) -> None:
    assert needs_reference(evaluator) is expected


def test_answers_and_scores_are_not_shown() -> None:
    run = EvaluationRun("evalrun_1", RunStatus.COMPLETED, (RowScore(0, "secret", 1.0, True),))
    assert "secret" not in f"{run} {RowAnswer('secret', 1.0)}"
