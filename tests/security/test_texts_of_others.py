"""Texts of others act on no screen: one function shows them, in one line of limited length, and as plain text."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from handlers.masking.visible import MAX_LINE_CHARS, visible_line
from tests.unit.cli.test_output import HOSTILE, assert_harmless, on_a_terminal

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = f"""
from datetime import timedelta
from cli.commands.status import show_status
from cli.commands.why import explain
from cli.runner import print_result
from core.model import Failure
from tests.simulation.virtual_time import run
from tests.support.app import app_with, push_and_release
from tests.unit.cli.support import context_of

async def results():
    app = app_with()
    app.foundry.failures["a" * 64] = Failure("CodeError", {HOSTILE!r} + "x" * 40_000)
    assert await push_and_release(app, "v1", "a") == "CODE_ERROR"
    return [await explain(context_of(app), "v1", timedelta(days=1)), await show_status(context_of(app), None)]

for result in run(results()):
    print_result(result, False)
    print_result(result, True)
"""


def test_what_is_said_of_a_version_is_harmless_on_a_terminal() -> None:
    written = on_a_terminal(code=COMMANDS)
    assert_harmless(written)
    assert b"x" * 400 not in written


def test_a_line_on_a_screen_has_a_length() -> None:
    assert visible_line("short") == "short"
    line = visible_line(f"\x1b]8;;https://evil\x1b\\{'x' * 40_000}")
    assert len(line) == MAX_LINE_CHARS
    assert line.startswith("\\x1b]8;;https://evil")
    assert line.endswith("x…")


def blocks(page: str, kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", (ROOT / "docs" / "how-to" / page).read_text(), re.DOTALL)


def test_the_teams_card_reads_no_markdown_in_texts_of_others() -> None:
    (card,) = [json.loads(block) for block in blocks("teams-message.md", "json")]
    texts = list(elements(card))
    as_markdown = " ".join(item["text"] for item in texts if item["type"] == "TextBlock")
    as_text = " ".join(item["text"] for item in texts if item["type"] == "TextRun")
    for name in ("tag", "detail"):
        assert f"['{name}']" in as_text
        assert f"['{name}']" not in as_markdown
    assert re.findall(r"\['data'\]\?\['(\w+)'\]", as_markdown) == ["agent", "reason", "help"], "words of ours"


def elements(node: Any) -> Any:
    """Every element of a card that has a text."""
    if isinstance(node, dict):
        if "text" in node:
            yield node
        for value in node.values():
            yield from elements(value)
    if isinstance(node, list):
        for value in node:
            yield from elements(value)


def test_workflows_get_texts_of_others_through_the_environment() -> None:
    for page in ("github-actions.md", "github-workflow.md"):
        for block in re.findall(
            r"```(?:yaml|bash)\n(.*?)```", (ROOT / "docs" / "how-to" / page).read_text(), re.DOTALL
        ):
            assert not re.search(r"run:[^\n]*\$\{\{", block), page
