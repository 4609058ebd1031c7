"""The tutorial as a new user follows it: its file, its commands and its script, unchanged and in order."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from local.endpoints import ROOT
from local.stack_client import stack

PAGE = (ROOT / "docs" / "tutorial.md").read_text()
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PRINTED = re.compile(r"It prints `(.*)`:")


def test_every_command_of_the_tutorial_works_in_order(tmp_path: Path) -> None:
    (agents_file,) = (text for kind, text in BLOCK.findall(PAGE) if kind == "yaml")
    agents = tmp_path / "my-agents.yaml"
    agents.write_text(agents_file)
    with stack(tmp_path, "--agents", str(agents)) as running:
        environment = {**os.environ, "SLIPWAY_LOCAL": str(running.folder), "COLUMNS": "80"}
        for kind, text in BLOCK.findall(PAGE):
            if kind == "python":
                output = run([sys.executable, "-c", text], environment)
                assert output.strip() == expected_output()
            elif kind == "bash":
                for line in text.splitlines():
                    run_command(line, environment)


def run_command(line: str, environment: dict[str, str]) -> None:
    """Run a command of the page, except ``make up``: the test has started the stack."""
    words = shlex.split(line, comments=True)
    if words[:2] == ["make", "up"]:
        return
    assert words[0] in (".venv/bin/python", ".venv/bin/slipway"), line
    module = ["-m", "cli"] if words[0].endswith("slipway") else []
    run([sys.executable, *module, *words[1:]], environment)


def run(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def expected_output() -> str:
    (output,) = PRINTED.findall(PAGE)
    return str(output)
