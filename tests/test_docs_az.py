"""Every ``az`` command of a page exists and has the options that it is given there, as ``az --help`` says."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.markdown import FENCE, blocks

ROOT = Path(__file__).resolve().parents[1]
AZ = shutil.which("az")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'|\$\([^()]*\)|<[^<>]*>")
COMMAND = re.compile(r"(?<![\w./-])az ((?:[a-z][a-z0-9-]*(?:\s+|$))+)([^|;&)`\n]*)")
OPTION = re.compile(r"(?<!\S)--?[a-z][\w-]*")
OF_EXTENSIONS = ("monitor app-insights", "monitor scheduled-query", "extension")
"""Their help is there only once the extension is installed, which a test does not do."""


def commands(page: str) -> Iterator[tuple[str, set[str]]]:
    """Yield each command with its options."""
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]*\baz [^`]*)`", FENCE.sub("", page))]
    for text in (*(block.text for block in blocks(page)), *spans):
        # what a command substitutes is a command too, and stands inside quotes
        for part in (text.replace("\\\n", " "), *re.findall(r"\$\(([^()]*)\)", text.replace("\\\n", " "))):
            for words, rest in COMMAND.findall(QUOTED.sub("X", part)):
                yield " ".join(words.split()), set(OPTION.findall(rest))


def documented() -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for page in PAGES:
        for command, options in commands(page.read_text()):
            if not command.startswith(OF_EXTENSIONS):
                found[command] |= options
    return found


@pytest.mark.timeout(120)
@pytest.mark.skipif(AZ is None, reason="az is not installed")
@pytest.mark.parametrize("command", sorted(documented()))
def test_a_command_has_the_options_of_the_page(command: str) -> None:
    done = subprocess.run([AZ or "", *command.split(), "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert documented()[command] - set(OPTION.findall(done.stdout)) == set()


def test_commands_are_found_in_blocks_spans_and_substitutions() -> None:
    block = 'ID=$(az storage account show --name "$A" \\\n  --query id)\naz login && ls --all'
    page = f"See `az acr show -n x`.\n```sh\n{block}\n```"
    assert dict(commands(page)) == {
        "acr show": {"-n"},
        "storage account show": {"--name", "--query"},
        "login": set(),
    }
