"""What ``make up`` prints."""

from __future__ import annotations

from pathlib import Path

from local.endpoints import repositories
from local.next_steps import next_steps

ENDPOINTS = {"registry": "127.0.0.1:5000", "telemetry": "http://127.0.0.1:8182"}


def test_it_names_the_repositories_of_the_agents_file(tmp_path: Path) -> None:
    file = tmp_path / "agents.yaml"
    file.write_text("agents: {a: {repository: team/first}, b: {repository: team/second}, c: {repository: team/first}}")
    text = next_steps(ENDPOINTS, tmp_path, repositories(file))
    assert "(team/first, team/second)" in text
    assert "python -m local push team/first:v1 " in text
    assert "docker push 127.0.0.1:5000/team/first:v1 " in text
    assert "agents/hello" not in text


def test_a_stack_in_another_folder_says_how_commands_find_it(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    assert f"  export SLIPWAY_LOCAL='{folder}' " in next_steps(ENDPOINTS, folder, [])
    assert "SLIPWAY_LOCAL" not in next_steps(ENDPOINTS, Path(".local").resolve(), [])
