"""``slipway --help`` imports nothing heavy."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from cli.runner import OF_A_DEPLOYMENT

ROOT = Path(__file__).resolve().parents[3]


def test_the_commands_load_their_logic_only_when_they_run() -> None:
    code = "import sys, cli.__main__; print({name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "typer" in done.stdout
    for package in ("asyncio", "azure", "core", "handlers", "local", "pydantic", "yaml"):
        assert f"'{package}'" not in done.stdout


def test_it_prints_its_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    command = [sys.executable, "-m", "cli", "--version"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == f"slipway {version}\n"


@pytest.mark.parametrize(
    ("file", "hint"), [("", "with the stack of `make up`"), ("endpoints.json", "runs in this folder")]
)
def test_without_settings_it_says_where_they_are(tmp_path: Path, file: str, hint: str) -> None:
    if file:
        (tmp_path / file).write_text("{}")
    environment = {"SLIPWAY_LOCAL": str(tmp_path), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-m", "cli", "status"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert hint in done.stderr
    assert "source <(azd env get-values)" in done.stderr
    assert OF_A_DEPLOYMENT in (ROOT / "docs" / "how-to" / "deploy.md").read_text()
