"""``release.evaluate``: each mistake is one line with its place, also those of the dataset."""

from __future__ import annotations

import json

import pytest

from core.agents_file.evaluation import EvaluateSpec, smallest_difference
from core.agents_file.loader import AgentsFileError, load_agents
from core.evaluation import MAX_ROWS_BYTES

FILE = """agents:
  a:
    repository: agents/a
    release:
      evaluate:
        dataset: %s
        criteria: {%s}
        %s
"""
EXPECT, JUDGED = "expect: {pass_rate: 0.9}", "builtin.coherence: {mean: 3.5}"
ROW = {"ask": "ping", "expect": "pong"}


def load(criteria: str = EXPECT, more: str = "", name: str = "rows.jsonl", rows: object = ROW) -> EvaluateSpec:
    def read(asked: str) -> bytes:
        assert asked == name
        return json.dumps(rows).encode()

    evaluate = load_agents((FILE % (name, criteria, more)).encode(), read).agents["a"].release.evaluate
    assert evaluate is not None
    return evaluate


def test_the_dataset_is_part_of_the_spec() -> None:
    spec = load(f"{EXPECT}, latency_p95: {{at_most: 5s}}", "within: 5m", name="data/rows.jsonl")
    assert [row.ask for row in spec.rows] == ["ping"]
    assert spec.service_criteria() == ()
    assert smallest_difference(spec) == "1 row: a pass rate is 0 or 1"


def test_criteria_of_foundry_have_what_they_need() -> None:
    rows = ROW | {"reference": "pong"}
    criteria = f"{JUDGED}, text_similarity: {{mean: 0.5, metric: bleu}}, string_check: {{pass_rate: 1}}"
    coherence, similarity, check = load(criteria, "judge: gpt", rows=rows).service_criteria()
    assert (coherence.evaluator, coherence.judge, coherence.passes_at) == ("builtin.coherence", "gpt", None)
    assert (similarity.metric, similarity.passes_at, similarity.judge) == ("bleu", 0.5, "")
    assert (check.operation, check.metric) == ("eq", "")


def test_the_key_names_what_scores_depend_on() -> None:
    first = load()
    assert load("expect: {pass_rate: 0.1}").key == first.key, "a threshold changes no score"
    assert load(rows=ROW | {"expect": "ping"}).key != first.key
    assert load(f"{EXPECT}, latency_p95: {{at_most: 1s}}").key != first.key


@pytest.mark.parametrize(
    ("criteria", "more", "message"),
    [
        ("expect: {pass_rate: 1.5}", "", "criteria.expect.pass_rate, line 7: write 1.0 or less, not 1.5"),
        ("expect: {pass_rate: -0.1}", "", "criteria.expect.pass_rate, line 7: write 0.0 or more, not -0.1"),
        ("expect: {pass_rate: a}", "", "criteria.expect.pass_rate, line 7: expected a number, found 'a'"),
        ("expect: {pass_rate: .nan}", "", "criteria.expect.pass_rate, line 7: is not a number in JSON"),
        ("builtin.fluency: {mean: .inf}", "judge: g", "criteria.builtin.fluency.mean, line 7: is not a number in JSON"),
        ("expect: {pas_rate: 1}", "", "criteria.expect.pas_rate, line 7: unknown key; did you mean pass_rate?"),
        ("expect: {mean: 1}", "", "criteria.expect, line 7: write pass_rate, the share of the rows"),
        ("expect: {}", "", "criteria.expect, line 7: write pass_rate, the share of the rows"),
        ("expect: 0.9", "", "criteria.expect, line 7: expected a map, found a number"),
        ("expect: {pass_rate: 1, metric: bleu}", "", "criteria.expect, line 7: metric belongs to text_similarity"),
        ("expct: {pass_rate: 1}", "", "criteria.expct, line 7: 'expct' is not a criterion; did you mean expect?"),
        ("zz: {pass_rate: 1}", "", "criteria.zz, line 7: 'zz' is not a criterion; Slipway knows expect, contains"),
        ("", "", "criteria, line 7: is empty; write at least one"),
        ("latency_p95: {pass_rate: 1}", "", "criteria.latency_p95, line 7: write at_most: 5s"),
        ("builtin.violence: {mean: 1}", "", "criteria.builtin.violence, line 7: write pass_rate"),
        ("builtin.fluency: {}", "judge: g", "criteria.builtin.fluency, line 7: write either pass_rate"),
        ("builtin.task_completion: {mean: 2}", "judge: g", "line 7: mean is 2, but the highest score is 1"),
        ("builtin.coherense: {mean: 4}", "judge: g", "line 7: 'builtin.coherense' is not a criterion; did you mean"),
        (JUDGED, 'judge: ""', "release.evaluate.judge, line 8: is empty; write at least one, or remove the key"),
        (JUDGED, "", "release.evaluate.judge, line 5: is missing; builtin.coherence asks a model"),
        *(
            (JUDGED, f"judge: {name}", "release.evaluate.judge, line 8: ")
            for name in ('" "', '"gpt\\n"', "a/../b", "https://x.openai.azure.com/openai/deployments/gpt", "g" * 65)
        ),
        (
            "builtin.groundedness: {mean: 3}",
            "judge: g",
            "line 7: 'builtin.groundedness' is not a criterion; Slipway knows",
        ),
        ("coherence: {mean: 3}", "judge: g", "line 7: 'coherence' is not a criterion; did you mean builtin.coherence?"),
        ("latency_p95: {at_most: 10m}", "", "criteria.latency_p95, line 7: at_most is not shorter than within"),
        (EXPECT, "judge: gpt", "release.evaluate.judge, line 8: no criterion asks a model; remove the key"),
        (EXPECT, "margin: 0.1", "release.evaluate.margin, line 8: has no effect without no_worse_than: live"),
        (EXPECT, "within: 31m", "release.evaluate.within, line 8: is longer than 30m; write 30m or less"),
        (EXPECT, "rows_at_once: 0", "release.evaluate.rows_at_once, line 8: write 1 or more, not 0"),
        (EXPECT, "rows: []", "release.evaluate.rows, line 8: unknown key; valid keys here: dataset"),
        (
            "contains: {pass_rate: 1}",
            "",
            "dataset, line 6: rows.jsonl no row has the key contains, which",
        ),
        (
            "string_check: {pass_rate: 1}",
            "",
            "dataset, line 6: rows.jsonl line 1: has no reference, which",
        ),
    ],
)
def test_a_mistake_is_one_line_with_its_place(criteria: str, more: str, message: str) -> None:
    with pytest.raises(AgentsFileError) as wrong:
        load(criteria, more)
    assert message in str(wrong.value)
    assert "\n" not in str(wrong.value)


@pytest.mark.parametrize("name", ["../rows.jsonl", "/rows.jsonl", "C:/a", "a//b", '"a\\0b"', '"a\\\\b"', '""'])
def test_a_dataset_is_beside_agents_yaml(name: str) -> None:
    with pytest.raises(AgentsFileError, match=r"is not a file beside agents\.yaml"):
        load_agents((FILE % (name, EXPECT, "")).encode())


@pytest.mark.parametrize("name", ["tests/rows.jsonl", "data/venv/rows.jsonl", ".rows.jsonl", "my_env/rows.jsonl"])
def test_a_dataset_that_is_not_deployed_is_a_mistake(name: str) -> None:
    with pytest.raises(AgentsFileError, match=r"line 6: '.*' is not deployed: \.funcignore leaves .* out; move it"):
        load_agents((FILE % (name, EXPECT, "")).encode(), lambda _: json.dumps(ROW).encode())


def test_a_judge_may_be_behind_a_connection() -> None:
    assert load(JUDGED, "judge: openai-eu/gpt-5.1_mini").judge == "openai-eu/gpt-5.1_mini"


def test_rows_that_foundry_cannot_take_are_a_mistake() -> None:
    rows = {"ask": "a" * (MAX_ROWS_BYTES * 3 // 5), "expect": "pong"}
    assert load(JUDGED, "judge: g", rows=rows).rows
    assert load(EXPECT, "no_worse_than: live", rows=rows).rows, "Slipway grades it"
    with pytest.raises(AgentsFileError, match="too large for an evaluation in Foundry: with their answers, and for"):
        load(JUDGED, "judge: g\n        no_worse_than: live", rows=rows)


def test_a_dataset_that_cannot_be_read_is_reported() -> None:
    with pytest.raises(AgentsFileError, match=r"dataset, line 6: r\.jsonl cannot be read: no file is read here"):
        load_agents((FILE % ("r.jsonl", EXPECT, "")).encode())
