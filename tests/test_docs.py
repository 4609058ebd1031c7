"""The documents are correct: their links, make targets and local commands exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.main import get_command

from local.__main__ import app

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
MAKE = re.compile(r"(?:^|`)make ([a-z-]+)", re.MULTILINE)
LOCAL = re.compile(r"python -m local ([a-z-]+)")
COMMANDS = set(getattr(get_command(app), "commands", {}))


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_of_a_page_exists(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text()) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_of_a_page_exists(page: Path) -> None:
    text = page.read_text()
    assert set(MAKE.findall(text)) <= TARGETS
    assert set(LOCAL.findall(text)) <= COMMANDS


def test_the_readme_starts_with_its_two_commands() -> None:
    readme = (ROOT / "README.md").read_text()
    blocks = re.findall(r"^```bash\n(.*?)\n```$", readme, re.MULTILINE | re.DOTALL)
    assert blocks[:2] == ["make demo", "make up"]
    assert "make test" in blocks


def test_make_lists_its_targets() -> None:
    described = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "up", "test", "check", "lock", "clean"} <= described
