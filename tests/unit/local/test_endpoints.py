"""What the local stack reads of agents.yaml."""

from __future__ import annotations

from pathlib import Path

from local.endpoints import app_key_name, repositories, secret_names

FILE = """agents:
  a:
    repository: agents/a
    env: {KEY: {secret: a-key}}
    release: {evaluate: {dataset: rows.jsonl, criteria: {expect: {pass_rate: 1}}}}
"""


def test_an_agents_file_is_read_with_its_dataset(tmp_path: Path) -> None:
    (tmp_path / "agents.yaml").write_text(FILE)
    (tmp_path / "rows.jsonl").write_text('{"ask": "ping", "expect": "pong"}')
    file = tmp_path / "agents.yaml"
    assert (repositories(file), secret_names(file), app_key_name(file)) == (["agents/a"], [("", "a-key")], "")
