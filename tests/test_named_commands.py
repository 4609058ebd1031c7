"""Every command of ``slipway`` that a reason, a page or an output names is one that the command line accepts."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.exceptions import TyperException
from typer.main import get_command

from cli.__main__ import app
from core.reasons import HELP_BY_DETAIL, Reason
from core.remedies import REMEDIES
from tests.support.markdown import FENCE, blocks

ROOT = Path(__file__).resolve().parents[1]
CLI = get_command(app)
COMMANDS: dict[str, Any] = getattr(CLI, "commands", {})
ARGUMENT = r"(?:--[a-z-]+|\$?[A-Z][A-Z_:@/]*|\d+[hd]|[\w./-]*-agent|all|\{\})"
IN_PROSE = re.compile(rf"\bslipway (?!and\b)([a-z]+(?: {ARGUMENT})*)")
CODE_SPAN = re.compile(r"`(?:\.venv/bin/)?slipway\s([^`]+)`")
IN_FENCE = re.compile(r"^\s*(?:\$ )?(?:\.venv/bin/)?(?:slipway|python -m cli) ([^#|;&>\n]+)", re.MULTILINE)
PAGES = sorted(
    [path for path in (ROOT / "docs").rglob("*.md") if path.parent.name not in ("decisions", "reasons")]
    + [ROOT / "README.md", ROOT / "SECURITY.md"]
)
SOURCES = sorted(
    path
    for folder in ("cli", "core", "handlers", "local", "infra")
    for path in (ROOT / folder).rglob("*.py")
    if path.name != "reasons.py"
)
WITHOUT_A_COMMAND = {
    "AGENT_NOT_MANAGED",
    "COMMIT_STATUS_REFUSED",
    "MALFORMED_EVENT",
    "MALFORMED_MESSAGE",
    "NO_DIGEST",
    "OUTCOME_NOT_PUBLISHED",
    "TAG_UNKNOWN",
    "VARIABLE_TAGS_LOST",
    "VERSION_NOT_ADOPTED",
}
"""Warnings after which a person must find somebody or change something that no command line reaches."""


def problem(command: str) -> str | None:
    """Why the command line refuses the command; None where it accepts it."""
    name, *arguments = shlex.split(command.replace("…", "X"))
    if name.startswith("--"):
        return None if name in {option for given in CLI.params for option in given.opts} else f"no option {name}"
    if name not in COMMANDS:
        return f"slipway has no command {name}"
    try:
        COMMANDS[name].make_context(name, arguments)
    except TyperException as error:
        return str(error)
    except typer.Exit:  # --help
        return None
    return None


def is_a_name_only(command: str) -> bool:
    """True for `slipway rollback` in a sentence: the command's name, not a line to type."""
    return " " not in command.strip() and command.strip() in COMMANDS


def problems(commands: Iterator[str]) -> dict[str, str]:
    return {command: found for command in commands if (found := problem(command))}


def in_text(text: str) -> Iterator[str]:
    yield from (command for command in IN_PROSE.findall(text) if not is_a_name_only(command))


def in_markdown(text: str) -> Iterator[str]:
    prose = FENCE.sub("", text)
    spans = (" ".join(span.split()) for span in CODE_SPAN.findall(prose))
    yield from (span for span in spans if not is_a_name_only(span))
    for block in blocks(text):
        if block.kind in ("", "sh", "bash", "console", "shell"):
            without_substitutions = re.sub(r"\$\([^()]*\)", "X", block.text.replace("\\\n", " "))
            yield from (command.strip() for command in IN_FENCE.findall(without_substitutions))


def in_strings(path: Path) -> Iterator[str]:
    """Commands in what the module may print: its strings, without its docstrings."""
    tree = ast.parse(path.read_text())
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values]
            yield from in_text("".join(parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield from in_text(node.value)


@pytest.mark.parametrize("reason", Reason)
def test_the_help_of_a_reason_names_commands_that_exist(reason: Reason) -> None:
    texts = [reason.help, *(text for _, text, _ in HELP_BY_DETAIL.get(reason.value, ()))]
    assert problems(command for text in texts for command in in_text(text)) == {}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_page_names_commands_that_exist(page: Path) -> None:
    assert problems(in_markdown(page.read_text())) == {}


def test_the_reason_pages_name_commands_that_exist() -> None:
    assert problems(in_markdown((ROOT / "core" / "reasons.yaml").read_text())) == {}


def test_the_outputs_name_commands_that_exist() -> None:
    found = {path.relative_to(ROOT).as_posix(): problems(in_strings(path)) for path in SOURCES}
    assert {path: wrong for path, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize(
    ("command", "refusal"),
    [
        ("rollback AGENT", "Missing parameter: why"),
        ("lift AGENT", "slipway has no command lift"),
        ("release AGENT --imag X", "No such option: --imag"),
        ("hold", "Missing parameter: agent"),
    ],
)
def test_a_command_that_is_refused_is_found(command: str, refusal: str) -> None:
    assert refusal in str(problem(command))


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_that_needs_a_person_has_a_command(reason: Reason) -> None:
    needs_a_person = reason.severity != "info" and not reason.help.startswith("Nothing to do")
    assert (reason.value in REMEDIES) or not needs_a_person or reason.value in WITHOUT_A_COMMAND, (
        f"core/reasons.yaml: add `remedy:` to {reason}, or explain in WITHOUT_A_COMMAND that no command helps"
    )


def test_errors_are_never_without_a_command() -> None:
    assert not [code for code in WITHOUT_A_COMMAND if Reason[code].severity == "error"]


@pytest.mark.parametrize("code", REMEDIES)
def test_the_help_names_the_command(code: str) -> None:
    reason = Reason[code]
    for detail in ("", "no matching manifest", "pull denied", "exit code 1"):
        assert reason.remedy_for(None, detail) in reason.help_for(None, detail)
        assert "AGENT" not in reason.remedy_for("hello-agent", detail)


@pytest.mark.parametrize("code", REMEDIES)
def test_the_command_is_accepted(code: str) -> None:
    commands = [REMEDIES[code], *(command for _, _, command in HELP_BY_DETAIL.get(code, ()))]
    ours = [command.removeprefix("slipway ") for command in commands if command.startswith("slipway ")]
    assert problems(iter(ours)) == {}


def test_every_text_of_a_page_is_read() -> None:
    texts = yaml.safe_load((ROOT / "core" / "reasons.yaml").read_text())["reasons"]
    named = {" ".join(span.split()) for entry in texts.values() for span in CODE_SPAN.findall(entry["what_you_can_do"])}
    assert "retry AGENT" in named
