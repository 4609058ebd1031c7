"""Answers become scores, and scores are compared with thresholds and with those of the live version."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.agents_file.evaluation import EvaluateSpec
from core.agents_file.loader import load_agents
from core.evaluation import EvaluationRun, RowAnswer, RowScore, RunStatus
from core.grading import compare, grade_rows, grade_run, run_rows
from core.state.evaluation import Score

FILE = "agents: {a: {repository: a, release: {evaluate: {dataset: r.jsonl, criteria: {%s}, %s}}}}"


def spec(criteria: str, *rows: dict[str, Any], more: str = "") -> EvaluateSpec:
    data = "\n".join(map(json.dumps, rows)).encode()
    evaluate = load_agents((FILE % (criteria, more)).encode(), lambda _: data).agents["a"].release.evaluate
    assert evaluate is not None
    return evaluate


def answers(*texts: str | None) -> list[RowAnswer]:
    return [RowAnswer(text, number + 1.0) for number, text in enumerate(texts)]


ROWS = (
    {"ask": "1", "expect": "(?i)paris"},
    {"ask": "2", "expect": "rome", "contains": ["a", "b"]},
    {"ask": "3", "schema": {"type": "object"}, "reference": "x"},
    {"ask": "4", "schema": False, "contains": "c"},
)
ALL = "expect: {pass_rate: 1}, contains: {pass_rate: 1}, schema: {pass_rate: 1}, latency_p95: {at_most: 3s}"


def test_each_criterion_counts_the_rows_that_have_its_key() -> None:
    scores = grade_rows(spec(ALL, *ROWS), answers("PARIS", "a b", "{}", "c"))
    assert scores == (Score("expect", 0.5), Score("contains", 1.0), Score("schema", 0.5), Score("latency_p95", 4.0))


def test_a_row_without_an_answer_fails_and_takes_all_the_time() -> None:
    scores = grade_rows(spec(ALL, *ROWS), answers(None, None, None, None))
    assert scores == (Score("expect", 0.0), Score("contains", 0.0), Score("schema", 0.0), Score("latency_p95", 600.0))


def test_the_95th_percentile_leaves_out_one_answer_of_twenty() -> None:
    rows = [{"ask": str(number)} for number in range(20)]
    assert grade_rows(spec("latency_p95: {at_most: 3s}", *rows), answers(*["a"] * 20)) == (Score("latency_p95", 19.0),)


def test_rows_with_an_answer_are_sent() -> None:
    asked = spec(ALL, *ROWS)
    assert run_rows(asked.rows, answers("a", None, "b", "")) == [
        {"query": "1", "response": "a", "ground_truth": ""},
        {"query": "3", "response": "b", "ground_truth": "x"},
    ]


SERVICE = "builtin.fluency: {mean: 3}, builtin.coherence: {pass_rate: 0.5}"
TWO = ({"ask": "1"}, {"ask": "2"})


def run(*scores: tuple[int, str, float | None, bool | None]) -> EvaluationRun:
    return EvaluationRun("run", RunStatus.COMPLETED, tuple(RowScore(*score) for score in scores))


def test_the_rows_of_a_run_are_those_of_the_candidate_then_those_of_the_live_version() -> None:
    found = run(
        *[(0, "builtin.fluency", 4.0, True), (0, "builtin.coherence", 2.0, False)],
        *[(1, "builtin.fluency", 5.0, True), (1, "builtin.coherence", 4.0, True)],
        *[(2, "builtin.fluency", 3.0, True), (2, "builtin.coherence", 4.0, True), (2, "other", 1.0, True)],
    )
    own, live = grade_run(spec(SERVICE, *TWO, more="judge: g"), found, (1, 2)) or ((), ())
    assert own == (Score("builtin.fluency", 2.0), Score("builtin.coherence", 0.0)), "one of the two rows was not sent"
    assert live == (Score("builtin.fluency", 4.0), Score("builtin.coherence", 1.0))


def test_without_answers_of_the_live_version_it_has_no_scores() -> None:
    assert grade_run(spec(SERVICE, *TWO, more="judge: g"), run(), (0, 0)) == (
        (Score("builtin.fluency", 0.0), Score("builtin.coherence", 0.0)),
        (),
    )


@pytest.mark.parametrize(
    "scores",
    [
        (),
        ((0, "builtin.fluency", 4.0, None),),
        ((0, "builtin.fluency", None, True),),
        ((1, "builtin.fluency", 4.0, True),),
        ((0, "builtin.fluency", 4.0, True), (0, "builtin.fluency", 4.0, None)),
    ],
)
def test_a_run_without_one_verdict_for_each_row_says_nothing(scores: Any) -> None:
    assert grade_run(spec("builtin.fluency: {mean: 3}", {"ask": "1"}, more="judge: g"), run(*scores), (1, 0)) is None


@pytest.mark.parametrize(
    ("criteria", "value", "live", "more", "text"),
    [
        ("expect: {pass_rate: 0.9}", 0.9, None, "", "expect 0.9 (threshold 0.9)"),
        ("expect: {pass_rate: 0.9}", 0.85, None, "", "failed: expect 0.85 (threshold 0.9)"),
        ("expect: {pass_rate: 0}", 0.0, 0.9, "", "expect 0 (threshold 0)"),
        ("expect: {pass_rate: 0.5}", 0.8, 0.9, "no_worse_than: live", "failed: expect 0.8 (threshold 0.5, live 0.9)"),
        (
            "expect: {pass_rate: 0.5}",
            0.8,
            0.9,
            "no_worse_than: live, margin: 0.1",
            "expect 0.8 (threshold 0.5, live 0.9)",
        ),
        ("latency_p95: {at_most: 3s}", 3.0, 1.0, "no_worse_than: live", "latency_p95 3 s (at most 3 s)"),
        ("latency_p95: {at_most: 3s}", 3.25, None, "", "failed: latency_p95 3.25 s (at most 3 s)"),
    ],
)
def test_a_score_is_compared_with_its_threshold_and_the_live_version(
    criteria: str, value: float, live: float | None, more: str, text: str
) -> None:
    name = criteria.partition(":")[0]
    live_scores = () if live is None else (Score(name, live),)
    (result,) = compare(spec(criteria, ROWS[0], more=more), [Score(name, value)], live_scores)
    assert str(result) == text
    assert result.is_passed is not text.startswith("failed")
