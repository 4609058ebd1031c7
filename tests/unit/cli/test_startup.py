"""``slipway --help`` imports nothing heavy."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

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
