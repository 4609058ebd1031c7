"""The commands of the transcripts page print what the page shows, and the page shows every command."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.main import get_command

from cli.__main__ import app
from local.stack_client import StackClient, stack
from tests.e2e.transcripts import CANARY, PAGE, Shell, agents_yaml, commands, create_stray_agent, matches, run_page
from tests.support.cli_schemas import validated
from tests.support.markdown import blocks

pytestmark = pytest.mark.timeout(600)
TEXT = PAGE.read_text()
INSPECTS = re.compile(
    r"(?:AGENTS_FILE=\S+ )?slipway "
    r"(?=(?:validate|plan|why|status|versions|digests|doctor|evaluate|verify)\b|.* --dry-run$)(\w+)[^|>]*$"
)
"""A command that changes nothing, so that it can run again with ``--json``."""
REFUSED = "(exit code 2)"


def test_the_commands_print_what_the_page_shows(tmp_path: Path) -> None:
    (tmp_path / "agents.yaml").write_text(agents_yaml(TEXT))
    with stack(tmp_path, "--agents", str(tmp_path / "agents.yaml")) as running:
        running.put("foundry", "/_local/provisioning", {"seconds": 0.2})
        create_stray_agent(running)
        shell, results = Shell(running, tmp_path), []
        for command, printed, shown in run_page(running, tmp_path, TEXT):
            results.append((command, printed, shown))
            if (found := INSPECTS.match(command)) and REFUSED not in printed:
                validated(found[1], shell.run(f"{command} --json"))
        validated("snapshot", (tmp_path / "snapshot.json").read_text())
        secrets = [secret_value("shop-key", running), CANARY]
    different = [f"$ {command}\n{printed}" for command, printed, shown in results if not matches(printed, shown)]
    assert different == [], "run: python -m tests.e2e.transcripts"
    output = "".join(printed for _, printed, _ in results) + (tmp_path / "snapshot.json").read_text()
    assert [secret for secret in secrets if secret in output] == []


def secret_value(name: str, running: StackClient) -> str:
    """Return the value in the vault."""
    with running.vault() as vault:
        value = vault.get_secret(name).value
    assert value
    return value


def test_the_page_shows_every_command() -> None:
    shown = {
        word for block in blocks(TEXT) for line, _ in commands(block) for word in re.findall(r"slipway (\w+)", line)
    }
    assert shown == set(getattr(get_command(app), "commands", {}))


def test_a_line_of_dots_matches_any_lines_and_no_other_line_does() -> None:
    assert matches("a\nb\nc", "a\n…\nc")
    assert matches("now 2026-11-24 12:00 UTC", "now 2026-01-01 00:00 UTC")
    assert not matches("a\nb", "a")
    assert not matches("a", "a\nb")
