"""Runs the commands of the transcripts page in order against a running stack.

``python -m tests.e2e.transcripts`` rewrites the page with their current output.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from local.endpoints import ROOT
from local.stack_client import StackClient, stack
from tests.support.markdown import Block, blocks

PAGE = ROOT / "docs" / "reference" / "cli-transcripts.md"
CANARY = "canary-51d0-of-a-stray-agent"
ANY_LINES = "…"
"""A line of the page that matches any lines of output."""
REPLACEMENTS = (
    # the timer of every five minutes may run meanwhile
    (re.compile(r"^[\d:]{8}  \S+  (REQUEUED|LEASE_TAKEN) .*\n", re.MULTILINE), ""),
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d+)?)?"), "<when>"),
    (re.compile(r"\b\d\d:\d\d:\d\d\b"), "<when>"),
    (re.compile(r"\b\d+ (?:s|min) ago\b *"), "<age> "),  # with the padding of a column
    (re.compile(r"\b(SINCE|CREATED) +"), r"\1 "),
    (re.compile(r"(?<=Python)( +)3\.\d+"), r"\1<python>"),
    (re.compile(r"\bsha256:[0-9a-f]{6,64}"), "<digest>"),
    (re.compile(r"127\.0\.0\.1:\d+"), "<host>"),
)


def commands(block: Block) -> list[tuple[str, str]]:
    """Return the commands of a console block, each with its output."""
    if block.kind != "console":
        return []
    parts = re.split(r"^\$ (.*)$", block.text, flags=re.MULTILINE)[1:]
    return [(parts[i], parts[i + 1].strip("\n")) for i in range(0, len(parts), 2)]


def normalize(text: str) -> str:
    """Replace everything that differs between runs."""
    for pattern, replacement in REPLACEMENTS:
        text = pattern.sub(replacement, text)
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")


def matches(printed: str, shown: str) -> bool:
    """Return whether the page shows what was printed; a line of … matches any lines."""
    pattern = "".join(
        r"(?:.*\n)*?" if line.strip() == ANY_LINES else re.escape(line) + r"\n"
        for line in normalize(shown).splitlines()
    )
    return re.fullmatch(pattern, normalize(printed) + "\n" if normalize(printed) else "") is not None


SLIPWAY = f"""#!{sys.executable}
import sys
from cli.__main__ import main
sys.exit(main())
"""
"""The console script of the interpreter that runs the tests."""


class Shell:
    """Runs commands in a folder, with the checkout on the path and signed in to the stack."""

    def __init__(self, running: StackClient, folder: Path) -> None:
        self._folder = folder
        scripts = folder / "bin"
        scripts.mkdir(exist_ok=True)
        (scripts / "slipway").write_text(SLIPWAY)
        (scripts / "slipway").chmod(0o755)
        self._environment = {
            **running.endpoints["env"],
            "PATH": f"{scripts}:{Path(sys.executable).parent}:/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
            "SLIPWAY_LOCAL": str(running.folder),
            "USER": "ann",
            "COLUMNS": "110",
        }

    def run(self, command: str) -> str:
        """Return the output, and the exit code unless it is 0."""
        done = subprocess.run(
            ["/bin/bash", "-c", command],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        errors = [line for line in done.stderr.splitlines() if not line.startswith("… ")]
        code = [f"(exit code {done.returncode})"] if done.returncode else []
        return "\n".join([*done.stdout.splitlines(), *errors, *code])


def run_page(running: StackClient, folder: Path, page: str) -> Iterator[tuple[str, str, str]]:
    """Write the page's files, run its commands, and yield command, output and the output that the page shows."""
    shell = Shell(running, folder)
    running.post("functions", "/admin/functions/resume_releases", {})  # the heartbeat that doctor shows
    for block in blocks(page):
        if block.title:
            (folder / block.title).write_text(block.text)
        for command, shown in commands(block):
            yield command, shell.run(command), shown


def create_stray_agent(
    running: StackClient, agent: str = "stray-agent", repository: str = "agents/stray", tag: str = "2024-06"
) -> None:
    """Create an agent outside Slipway, with an image of the registry and a value that must not be printed."""
    digest = running.push(repository, tag, "stray")
    definition = {
        "kind": "hosted",
        "cpu": "0.5",
        "memory": "1Gi",
        "container_configuration": {"image": f"demo.azurecr.io/{repository}@{digest}"},
        "protocol_versions": [{"protocol": "responses", "version": "2.0.0"}],
        "environment_variables": {"CRM": "${{connections.crm.credentials.key}}", "TOKEN": CANARY},
    }
    with running.foundry() as project:
        project.agents.create_version(agent, {"definition": definition})


def agents_yaml(page: str) -> str:
    """Return the agents.yaml of the page."""
    return next(block.text for block in blocks(page) if block.title == "agents.yaml")


def rewrite() -> None:
    """Write the current output of the commands into the page; keep a … that still matches."""
    page = PAGE.read_text()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "agents.yaml").write_text(agents_yaml(page))
        with stack(folder, "--agents", str(folder / "agents.yaml")) as running:
            running.put("foundry", "/_local/provisioning", {"seconds": 0.2})
            create_stray_agent(running)
            offset = 0  # the same command may occur twice
            for command, printed, shown in run_page(running, folder, page):
                before = f"$ {command}\n" + (f"{shown}\n" if shown else "")
                after = before if matches(printed, shown) else f"$ {command}\n" + (f"{printed}\n" if printed else "")
                offset = page.index(before, offset)
                page = page[:offset] + after + page[offset + len(before) :]
                offset += len(after)
    PAGE.write_text(page)


if __name__ == "__main__":
    rewrite()
