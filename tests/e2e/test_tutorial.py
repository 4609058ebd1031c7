"""The tutorial as a newcomer follows it: its file, its commands and its script, word for word and in order."""

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
    (rules,) = (text for kind, text in BLOCK.findall(PAGE) if kind == "yaml")
    agents = tmp_path / "my-agents.yaml"
    agents.write_text(rules)
    with stack(tmp_path, "--agents", str(agents)) as running:
        environment = {**os.environ, "SLIPWAY_LOCAL": str(running.folder), "COLUMNS": "80"}
        for kind, text in BLOCK.findall(PAGE):
            if kind == "python":
                told = run([sys.executable, "-c", text], environment)
                assert told.strip() == expected()
            elif kind == "bash":
                for line in text.splitlines():
                    follow(line, environment)


def follow(line: str, environment: dict[str, str]) -> None:
    """Run one command; the one that starts everything is what the test itself did."""
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


def expected() -> str:
    (printed,) = PRINTED.findall(PAGE)
    return str(printed)
