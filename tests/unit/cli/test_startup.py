"""``slipway --help`` imports nothing heavy."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from cli.runner import OF_A_DEPLOYMENT

ROOT = Path(__file__).resolve().parents[3]


HEAVY = {"aiohttp", "asyncio", "azure", "core", "handlers", "local", "pydantic", "yaml"}
FOR_OPTIONS = {"pydantic"}
"""Typer imports it to read options, and to name a command that was misspelled."""


@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [
        (("--help",), HEAVY),
        (("--version",), HEAVY),
        (("no-command",), HEAVY - FOR_OPTIONS),
        ((), HEAVY),
        (("status", "--help"), HEAVY - FOR_OPTIONS),
        (("status", "--no-option"), HEAVY - FOR_OPTIONS),
    ],
)
def test_the_commands_load_their_logic_only_when_they_run(arguments: tuple[str, ...], unwanted: set[str]) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "cli", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    imported = set(re.findall(r"^import time:.*\|\s+(\w+)", done.stderr, re.MULTILINE))
    assert "typer" in imported
    assert imported & unwanted == set()


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
