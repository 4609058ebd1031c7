"""agents.yaml and its datasets are read again when one of the files changes."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from handlers.agents_file import MAX_FILE_BYTES, load_agents_file
from handlers.settings import ConfigError, Settings
from tests.simulation.scene import ENVIRONMENT

FILE = """agents:
  a:
    repository: a
    release: {evaluate: {dataset: data/rows.jsonl, criteria: {expect: {pass_rate: 1}}}}
"""


def write(file: Path, text: str, at: int) -> None:
    file.write_text(text)
    os.utime(file, (at, at))


def test_a_changed_dataset_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    settings = replace(Settings.from_env(ENVIRONMENT), agents_file=str(tmp_path / "agents.yaml"))
    write(tmp_path / "agents.yaml", FILE, 1)
    rows = tmp_path / "data/rows.jsonl"

    def questions() -> list[str | None]:
        evaluate = load_agents_file(settings).agents["a"].release.evaluate
        assert evaluate is not None
        return [row.ask for row in evaluate.rows]

    write(rows, '{"ask": "one", "expect": "1"}', 1)
    assert questions() == ["one"]
    assert load_agents_file(settings) is load_agents_file(settings)
    write(rows, '{"ask": "two", "expect": "1"}', 2)
    assert questions() == ["two"]
    write(rows, '{"ask": canary', 3)
    with pytest.raises(ConfigError, match=r"rows\.jsonl line 1: is not JSON") as wrong:
        questions()
    assert "canary" not in str(wrong.value)
    rows.unlink()
    write(tmp_path / "agents.yaml", FILE, 4)
    with pytest.raises(ConfigError, match=r"rows\.jsonl cannot be read: No such file"):
        questions()


@pytest.mark.parametrize(("kind", "problem"), [("pipe", "it is not a file"), ("huge", "File too large")])
def test_what_is_not_a_file_of_that_kind_is_not_read(tmp_path: Path, kind: str, problem: str) -> None:
    (tmp_path / "data").mkdir()
    settings = replace(Settings.from_env(ENVIRONMENT), agents_file=str(tmp_path / "agents.yaml"))
    write(tmp_path / "agents.yaml", FILE, 1)
    rows = tmp_path / "data/rows.jsonl"
    if kind == "pipe":
        os.mkfifo(rows)
    else:
        rows.touch()
        os.truncate(rows, MAX_FILE_BYTES + 1)
    with pytest.raises(ConfigError, match=rf"rows\.jsonl cannot be read: {problem}"):
        load_agents_file(settings)
