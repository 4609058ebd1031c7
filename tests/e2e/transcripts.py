"""The page of transcripts: its commands are run in order against a running stack, and what they print is compared.

``python -m tests.e2e.transcripts`` writes the page anew with what they print now.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from local.endpoints import ROOT
from local.stack_client import StackClient, stack

PAGE = ROOT / "docs" / "reference" / "cli-transcripts.md"
FENCE = re.compile(r"^```(console|json|yaml)(?: title=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CANARY = "canary-51d0-of-a-stray-agent"
ANYTHING = "…"
"""A line of the page that stands for whatever is printed there."""
CHANGING = (
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d+)?)?"), "<when>"),
    (re.compile(r"\b\d\d:\d\d:\d\d\b"), "<when>"),
    (re.compile(r"(?<=Python)( +)3\.\d+"), r"\1<python>"),
    (re.compile(r"127\.0\.0\.1:\d+"), "<host>"),
)


@dataclass
class Block:
    """One fence of the page."""

    kind: str
    title: str
    text: str
    commands: list[tuple[str, str]] = field(default_factory=list)
    """Command -> what it prints."""


def blocks(page: str) -> list[Block]:
    """Every fence, with the commands of a console."""
    found = [Block(one[1], one[2] or "", one[3]) for one in FENCE.finditer(page)]
    for block in found:
        if block.kind == "console":
            parts = re.split(r"^\$ (.*)$", block.text, flags=re.MULTILINE)[1:]
            block.commands = [(parts[i], parts[i + 1].strip("\n")) for i in range(0, len(parts), 2)]
    return found


def settled(text: str) -> str:
    """Without what is another thing at every run."""
    for pattern, stands_for in CHANGING:
        text = pattern.sub(stands_for, text)
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")


def agrees(printed: str, page: str) -> bool:
    """True where the page says what was printed; a line of … stands for any lines."""
    desired = "".join(
        r"(?:.*\n)*?" if line.strip() == ANYTHING else re.escape(line) + r"\n" for line in settled(page).splitlines()
    )
    return re.fullmatch(desired, settled(printed) + "\n" if settled(printed) else "") is not None


class Shell:
    """Runs commands in a folder as a person with a checkout does, signed in to the stack."""

    def __init__(self, running: StackClient, folder: Path) -> None:
        self._folder = folder
        self._environment = {
            **running.endpoints["env"],
            "PATH": f"{ROOT}/.venv/bin:/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
            "SLIPWAY_LOCAL": str(running.folder),
            "USER": "ann",
            "COLUMNS": "110",
        }

    def run(self, command: str) -> str:
        """What it prints, and its exit code where that is not 0."""
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
        said = [line for line in done.stderr.splitlines() if not line.startswith("… ")]
        code = [f"(exit code {done.returncode})"] if done.returncode else []
        return "\n".join([*done.stdout.splitlines(), *said, *code])


def story(running: StackClient, folder: Path, page: str) -> Iterator[tuple[str, str, str]]:
    """Command, what it prints, and what the page says it prints; files of the page are there before."""
    shell = Shell(running, folder)
    for block in blocks(page):
        if block.title:
            (folder / block.title).write_text(block.text)
        for command, told in block.commands:
            yield command, shell.run(command), told


def stray(running: StackClient) -> None:
    """An agent of somebody else's, with an image of our registry and a value that nobody must see."""
    digest = running.push("agents/stray", "2024-06", "stray")
    definition = {
        "kind": "hosted",
        "cpu": "0.5",
        "memory": "1Gi",
        "container_configuration": {"image": f"demo.azurecr.io/agents/stray@{digest}"},
        "protocol_versions": [{"protocol": "responses", "version": "2.0.0"}],
        "environment_variables": {"CRM": "${{connections.crm.credentials.key}}", "TOKEN": CANARY},
    }
    with running.foundry() as project:
        project.agents.create_version("stray-agent", {"definition": definition})


def rules(page: str) -> str:
    """The agents.yaml of the page."""
    return next(block.text for block in blocks(page) if block.title == "agents.yaml")


def write() -> None:
    """The page, with what its commands print now; a … stays."""
    page = PAGE.read_text()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "agents.yaml").write_text(rules(page))
        with stack(folder, "--agents", str(folder / "agents.yaml")) as running:
            running.put("foundry", "/_local/provisioning", {"seconds": 0.2})
            stray(running)
            done = 0  # characters: the same command may come twice
            for command, printed, told in story(running, folder, page):
                before = f"$ {command}\n" + (f"{told}\n" if told else "")
                after = before if agrees(printed, told) else f"$ {command}\n" + (f"{printed}\n" if printed else "")
                done = page.index(before, done)
                page = page[:done] + after + page[done + len(before) :]
                done += len(after)
    PAGE.write_text(page)


if __name__ == "__main__":
    write()
