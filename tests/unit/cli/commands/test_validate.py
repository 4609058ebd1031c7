"""``slipway validate``: exit code and lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from cli.commands.validate import validate
from cli.exit_codes import DONE, WRONG_INPUT
from tests.support.sigstore import Sigstore

FREEZE = "agents:\n  a:\n    repository: r\n    release: {windows: {freezes: {start: %s-12-18, end: %s-12-24}}}\n"


@pytest.mark.parametrize(("year", "code"), [("2025", WRONG_INPUT), ("2925", DONE)])
def test_a_freeze_that_is_over_is_a_mistake(
    year: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "agents.yaml"
    file.write_text(FREEZE % (year, year))
    with pytest.raises(typer.Exit) as ended:
        validate(file, schema=False, as_json=False)
    assert ended.value.exit_code == code
    issue = f"{file}:4: agents.a.release.windows.freezes: ended 2025-12-25 00:00 UTC; remove it"
    assert capsys.readouterr().err.replace("\n", "") == (issue if code else "")


STAGES = """projects: {eu: {endpoint: "https://contoso-eu.services.ai.azure.com/api/projects/shop"}}
agents:
  a: {repository: r, stages: [{project: default}, {project: eu}]}
  b: {repository: r}
"""


@pytest.mark.parametrize(
    ("text", "size"), [(STAGES, "2 agents in 3 targets"), ("agents: {a: {repository: r}}\n", "1 agent")]
)
def test_agents_and_targets_are_counted(
    text: str, size: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "agents.yaml"
    file.write_text(text)
    with pytest.raises(typer.Exit):
        validate(file, schema=False, as_json=False)
    assert capsys.readouterr().out.replace("\n", "").startswith(f"{file}: {size}, no errors")


EVALUATE = """agents:
  a:
    repository: r
    release: {evaluate: {dataset: rows.jsonl, criteria: {expect: {pass_rate: 0.9}}}}
"""


def test_a_dataset_is_read_and_what_it_can_show_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, rows = tmp_path / "agents.yaml", tmp_path / "rows.jsonl"
    file.write_text(EVALUATE)
    rows.write_text("".join(f'{{"ask": "question {number}", "expect": "a"}}\n' for number in range(20)))
    with pytest.raises(typer.Exit) as ended:
        validate(file, schema=False, as_json=False)
    assert ended.value.exit_code == DONE
    assert "a: 20 rows: a pass rate changes by 5.0% or not at all" in capsys.readouterr().out
    rows.write_text('{"ask": "a", "expect": "a"}\n\n\n\n\n\n{"ask": \n')
    with pytest.raises(typer.Exit) as ended:
        validate(file, schema=False, as_json=True)
    assert ended.value.exit_code == WRONG_INPUT
    (error,) = json.loads(capsys.readouterr().out)["errors"]
    assert (error["file"], error["line"]) == (str(file), 4)
    assert error["path"] == "agents.a.release.evaluate.dataset"
    assert error["message"].startswith("rows.jsonl line 7: is not JSON")


ROOT = "agents:\n  a:\n    repository: r\n    release: {trusted_root: root.json, signed_by: [{github: o/r}]}\n"
NONSENSE = json.dumps(json.loads(Sigstore().root) | {"certificateAuthorities": "x"}).encode()


@pytest.mark.parametrize(("root", "code"), [(NONSENSE, WRONG_INPUT), (Sigstore().root, DONE)])
def test_a_trusted_root_that_cannot_be_read_is_a_mistake(
    root: bytes, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "agents.yaml"
    file.write_text(ROOT)
    (tmp_path / "root.json").write_bytes(root)
    with pytest.raises(typer.Exit) as ended:
        validate(file, schema=False, as_json=False)
    assert ended.value.exit_code == code
    problem = f"{file}: agents.a.release.trusted_root: root.json: the trusted root cannot be read: "
    assert capsys.readouterr().err.startswith(problem) is (code == WRONG_INPUT)
